"""The tables of the seam: which plugins are installed, who switched them on, with which settings."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from citaplanner_core.crypto import EncryptedText
from citaplanner_core.database import Base, TenantScoped, utcnow

INSTALLED = "installed"
KEPT = "kept"


class InstalledPlugin(Base):
    """A plugin whose schema is in this database. Belongs to the deployment, not to a tenant.

    `status` is `installed`, or `kept` after an uninstall that kept its data.
    """

    __tablename__ = "installed_plugin"
    __table_args__ = (UniqueConstraint("name"),)

    name: Mapped[str]
    version: Mapped[str]
    status: Mapped[str] = mapped_column(default=INSTALLED)
    installed_at: Mapped[datetime] = mapped_column(default=utcnow)


class TenantPlugin(TenantScoped, Base):
    """A tenant's switch of one plugin."""

    __tablename__ = "tenant_plugin"

    @classmethod
    def table_args(cls) -> tuple[Any, ...]:
        return (UniqueConstraint("tenant_id", "plugin"),)

    plugin: Mapped[str]
    enabled: Mapped[bool] = mapped_column(default=True)


class PluginSetting(TenantScoped, Base):
    """One setting a tenant gave to a plugin. A secret stands in `secret`, encrypted; anything else in `value`."""

    __tablename__ = "plugin_setting"

    @classmethod
    def table_args(cls) -> tuple[Any, ...]:
        return (UniqueConstraint("tenant_id", "plugin", "key"),)

    plugin: Mapped[str]
    key: Mapped[str]
    value: Mapped[Any | None] = mapped_column(JSON)
    secret: Mapped[str | None] = mapped_column(EncryptedText)
    changed_at: Mapped[datetime] = mapped_column(default=utcnow, onupdate=utcnow)
