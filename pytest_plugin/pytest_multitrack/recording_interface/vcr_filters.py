"""Apply vcrpy's filters. A filter can change a request or a response, or exclude it from the recording.

https://vcrpy.readthedocs.io/en/latest/advanced.html#filter-sensitive-data-from-the-request
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from multitrack.tape.exchange import Request, Response
from pytest_multitrack.recording_interface import vcr_requests


@dataclass(frozen=True, slots=True)
class VcrFilters:
    """The functions that vcrpy builds from its options (``filter_headers``, ``before_record_request``, ...).

    Args:
        before_record_request: The function that changes each request. It returns None to exclude a request.
        before_record_response: The function that changes each response. It returns None to exclude a response.
        changes_responses: Whether any vcrpy option changes responses. Default True.
    """

    before_record_request: Callable[[Any], Any]
    before_record_response: Callable[[Any], Any]
    changes_responses: bool = True

    def filter_request(self, request: Request) -> Request | None:
        """Return the filtered ``request``. None if the filters exclude it from the recording."""
        filtered = self.before_record_request(vcr_requests.to_vcr_request(request))
        return None if filtered is None else vcr_requests.from_vcr_request(filtered, request)

    def filter_response(self, response: Response) -> Response | None:
        """Return the filtered ``response``. None if the filters exclude it from the recording."""
        filtered = self.before_record_response(vcr_requests.to_vcr_response(response))
        return None if filtered is None else vcr_requests.from_vcr_response(filtered, response)

    def filter_stored_response(self, response: Response) -> Response | None:
        """Filter a ``response`` from another recorder's cassette, because vcrpy also filters the responses that it
        loads from cassettes.
        """
        if not self.changes_responses:
            return response
        stored = vcr_requests.to_vcr_response(response)
        filtered = self.before_record_response(deepcopy(stored))
        if filtered is None:
            return None
        # an unchanged response keeps its content encoding
        return response if filtered == stored else vcr_requests.from_vcr_response(filtered, response)
