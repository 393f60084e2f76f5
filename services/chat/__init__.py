"""What the bot needs: cards, conversations, the inbox of updates."""
