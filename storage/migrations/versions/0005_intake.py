"""intake: what updates stay in order by, how often each was begun, and how they come in"""

import sqlalchemy as sa
from alembic import op

from storage.types import UtcDateTime

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("inbox", schema=None) as batch_op:
        batch_op.add_column(sa.Column("chat_key", sa.String(length=40), nullable=True))
        batch_op.add_column(sa.Column("starts", sa.Integer(), server_default="0", nullable=False))
    op.create_table(
        "intake",
        sa.Column("name", sa.String(length=20), nullable=False),
        sa.Column("way", sa.String(length=16), nullable=False),
        sa.Column("word", sa.String(length=40), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("well_at", UtcDateTime(), nullable=True),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_intake")),
    )


def downgrade() -> None:
    op.drop_table("intake")
    with op.batch_alter_table("inbox", schema=None) as batch_op:
        batch_op.drop_column("starts")
        batch_op.drop_column("chat_key")
