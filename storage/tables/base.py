"""The metadata all tables belong to, and the columns that many of them have."""

from sqlalchemy import Column, ForeignKey, MetaData, String

from storage.types import UtcDateTime

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

ID = String(36)


def identifier() -> Column[str]:
    """The primary key of most tables."""
    return Column("id", ID, primary_key=True)


def workspace(*, index: bool = False) -> Column[str]:
    """The workspace a row belongs to, and goes with."""
    return Column("workspace_id", ID, ForeignKey("workspaces.id", ondelete="CASCADE"), nullable=False, index=index)


def created() -> Column[object]:
    """When the row was made."""
    return Column("created_at", UtcDateTime, nullable=False)
