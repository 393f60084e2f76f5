"""installation spend: what the installation's own model keys paid by day, and what a call under way may cost it"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "installation_spend",
        sa.Column("day", sa.String(length=10), nullable=False),
        sa.Column("cost_micros", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("day", name=op.f("pk_installation_spend")),
    )
    with op.batch_alter_table("runs", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("reserved_installation_micros", sa.BigInteger(), server_default="0", nullable=False)
        )
        batch_op.create_index(
            "ix_runs_reserved_installation",
            ["state"],
            unique=False,
            sqlite_where=sa.text("reserved_installation_micros > 0"),
            postgresql_where=sa.text("reserved_installation_micros > 0"),
        )


def downgrade() -> None:
    with op.batch_alter_table("runs", schema=None) as batch_op:
        batch_op.drop_index("ix_runs_reserved_installation")
        batch_op.drop_column("reserved_installation_micros")
    op.drop_table("installation_spend")
