"""usage: what each task cost by day and model, what is held back for a call under way, what is only a guess"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("runs", schema=None) as batch_op:
        batch_op.add_column(sa.Column("reserved_micros", sa.BigInteger(), server_default="0", nullable=False))
        batch_op.create_index(
            "ix_runs_reserved",
            ["workspace_id"],
            unique=False,
            sqlite_where=sa.text("reserved_micros > 0"),
            postgresql_where=sa.text("reserved_micros > 0"),
        )
    with op.batch_alter_table("spend", schema=None) as batch_op:
        batch_op.add_column(sa.Column("guessed_micros", sa.BigInteger(), server_default="0", nullable=False))
    op.create_table(
        "task_spend",
        sa.Column("workspace_id", sa.String(length=36), nullable=False),
        sa.Column("task_id", sa.String(length=36), nullable=False),
        sa.Column("day", sa.String(length=10), nullable=False),
        sa.Column("model", sa.String(length=200), nullable=False),
        sa.Column("tokens_in", sa.BigInteger(), nullable=False),
        sa.Column("tokens_out", sa.BigInteger(), nullable=False),
        sa.Column("cost_micros", sa.BigInteger(), nullable=False),
        sa.Column("guessed_micros", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("calls", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id"],
            ["workspaces.id"],
            name=op.f("fk_task_spend_workspace_id_workspaces"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "task_id", "day", "model", name=op.f("pk_task_spend")),
    )
    with op.batch_alter_table("task_spend", schema=None) as batch_op:
        batch_op.create_index("ix_task_spend_workspace_day", ["workspace_id", "day"], unique=False)
    # runs of before are entered on the day they were made
    sqlite = op.get_bind().dialect.name == "sqlite"
    day: sa.ColumnElement[str] = sa.literal_column(
        "substr(created_at, 1, 10)" if sqlite else "to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD')"
    )
    key = ("workspace_id", "task_id", "model")
    sums = ("tokens_in", "tokens_out", "cost_micros", "iterations_used")
    runs = sa.table("runs", *map(sa.column, (*key, *sums)))
    made = sa.table("task_spend", *map(sa.column, (*key, "day", "tokens_in", "tokens_out", "cost_micros", "calls")))
    found = (
        sa.select(*(runs.c[name] for name in key), day, *(sa.func.sum(runs.c[name]) for name in sums))
        .where(runs.c.tokens_in > 0)
        .group_by(*(runs.c[name] for name in key), day)
    )
    op.execute(made.insert().from_select(made.c.keys(), found))


def downgrade() -> None:
    op.drop_table("task_spend")
    with op.batch_alter_table("spend", schema=None) as batch_op:
        batch_op.drop_column("guessed_micros")
    with op.batch_alter_table("runs", schema=None) as batch_op:
        batch_op.drop_index("ix_runs_reserved")
        batch_op.drop_column("reserved_micros")
