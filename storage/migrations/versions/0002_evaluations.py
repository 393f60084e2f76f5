"""evaluations: calls that agents of others asked about"""

import sqlalchemy as sa
from alembic import op

from storage.types import UtcDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "evaluations",
        sa.Column("workspace_id", sa.String(length=36), nullable=False),
        sa.Column("idx", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("session", sa.String(length=200), nullable=False),
        sa.Column("call_digest", sa.String(length=64), nullable=False),
        sa.Column("approval_id", sa.String(length=36), nullable=True),
        sa.Column("used", sa.Boolean(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id"],
            ["workspaces.id"],
            name=op.f("fk_evaluations_workspace_id_workspaces"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "idx", name=op.f("pk_evaluations")),
    )
    with op.batch_alter_table("evaluations", schema=None) as batch_op:
        batch_op.create_index("ix_evaluations_session", ["workspace_id", "session", "idx"], unique=False)
        batch_op.create_index("ix_evaluations_call", ["workspace_id", "call_digest", "idx"], unique=False)


def downgrade() -> None:
    op.drop_table("evaluations")
