"""Routes about what this installation can do; public, as the contract has them."""

from collections import Counter
from typing import Any

from api.http import Call, Endpoints, Needs
from api.middlewares import HttpConfig
from api.models import Capabilities, OneCapability
from domain.clock import iso, utc_now
from domain.errors import NotFound
from services.capabilities import STATES, CapabilityService, CapabilityState


def _wire(s: CapabilityState) -> dict[str, Any]:
    c = s.capability
    return {
        "key": c.key,
        "name": c.name,
        "state": s.state,
        "summary": c.summary,
        "owner": c.owner,
        "blockers": list(s.blockers),
        "evidence": list(s.evidence),
        "evalRequirement": c.evaluation,
        "updatedAt": iso(s.updated_at),
    }


def capability_routes(config: HttpConfig) -> Endpoints:
    """The routes; an evaluation counts for the version it was recorded with."""
    routes = Endpoints("capabilities")

    def service(call: Call) -> CapabilityService:
        return CapabilityService(call.services.store, call.services.health, utc_now)

    @routes.route("GET", "/api/capabilities", needs=Needs.PUBLIC, response=Capabilities)
    async def list_capabilities(call: Call) -> Any:
        """Every capability with its state, computed from checks that run now and evaluations that were recorded."""
        found = await service(call).all(version=config.version)
        counts = Counter(s.state for s in found)
        now = iso(utc_now())
        return {
            "generatedAt": now,
            "summary": {
                "generatedAt": now,
                "total": len(found),
                "productionReady": counts["production_ready"],
                "byState": {state: counts[state] for state in STATES},
                "blockers": [
                    {"key": s.capability.key, "state": s.state, "blockers": list(s.blockers)}
                    for s in found
                    if s.state not in ("implemented", "production_ready")
                ],
            },
            "capabilities": [_wire(s) for s in found],
        }

    @routes.route("GET", "/api/capabilities/{key}", needs=Needs.PUBLIC, response=OneCapability, errors=(NotFound,))
    async def get_capability(call: Call, key: str) -> Any:
        """One capability: its state, what blocks it, who owns it, and the evaluation it takes."""
        return {"capability": _wire(await service(call).get(key, version=config.version))}

    return routes
