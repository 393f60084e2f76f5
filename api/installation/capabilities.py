"""Routes about what this installation can do; public, as the contract has them."""

from collections import Counter

from api.config import HttpConfig
from api.http import Access, Endpoints, RequestContext
from api.schemas.base import Serialized
from api.schemas.installation import (
    Capabilities,
    CapabilityBlocker,
    CapabilityOut,
    CapabilitySummary,
    OneCapability,
    StateCounts,
)
from domain.clock import iso, utc_now
from domain.errors import NotFound
from services.installation.capabilities import STATES, CapabilityService


def capability_routes(config: HttpConfig) -> Endpoints:
    """The routes; an evaluation counts for the version it was recorded with."""
    routes = Endpoints("capabilities")

    def service(call: RequestContext) -> CapabilityService:
        return CapabilityService(call.services.store, call.services.health, utc_now)

    @routes.route("GET", "/api/capabilities", needs=Access.PUBLIC)
    async def list_capabilities(call: RequestContext) -> Serialized[Capabilities]:
        """Every capability with its state, computed from checks that run now and evaluations that were recorded."""
        found = await service(call).all(version=config.version)
        counts = Counter(s.state for s in found)
        now = iso(utc_now())
        return Capabilities.answer(
            generated_at=now,
            summary=CapabilitySummary.answer(
                generated_at=now,
                total=len(found),
                production_ready=counts["production_ready"],
                by_state=StateCounts.answer(**{state: counts[state] for state in STATES}),
                blockers=[CapabilityBlocker.of(s) for s in found if s.state not in ("implemented", "production_ready")],
            ),
            capabilities=[CapabilityOut.of(s) for s in found],
        )

    @routes.route("GET", "/api/capabilities/{key}", needs=Access.PUBLIC, errors=(NotFound,))
    async def get_capability(call: RequestContext, key: str) -> Serialized[OneCapability]:
        """One capability: its state, what blocks it, who owns it, and the evaluation it takes."""
        return OneCapability.answer(capability=CapabilityOut.of(await service(call).get(key, version=config.version)))

    return routes
