"""integrity: rare receipts are found by what they are about, and audit lines have the salt of their hash"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

RARE = (
    "action IN ('api_key:created', 'api_key:revoked', 'grant:created', 'grant:revoked', 'mcp:changed', "
    "'operator:created', 'operator:updated', 'policy:kill_switch_changed', 'user:erased', 'workspace:created', "
    "'workspace:mode_changed', 'workspace:purged', 'workspace:settings_created', 'workspace:settings_updated')"
)


def upgrade() -> None:
    with op.batch_alter_table("audit_log", schema=None) as batch_op:
        batch_op.add_column(sa.Column("salt", sa.String(length=32), nullable=True))
    with op.batch_alter_table("receipts", schema=None) as batch_op:
        batch_op.create_index(
            "ix_receipts_rare",
            ["workspace_id", "resource", "idx"],
            unique=False,
            sqlite_where=sa.text(RARE),
            postgresql_where=sa.text(RARE),
        )


def downgrade() -> None:
    with op.batch_alter_table("receipts", schema=None) as batch_op:
        batch_op.drop_index("ix_receipts_rare")
    with op.batch_alter_table("audit_log", schema=None) as batch_op:
        batch_op.drop_column("salt")
