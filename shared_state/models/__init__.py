"""The tables: streams, their events, and the rows folded from them."""

from shared_state.models.event import EventRecord
from shared_state.models.grant import Grant
from shared_state.models.ordered_json import OrderedJSONField
from shared_state.models.row import RowRecord
from shared_state.models.stream import Stream, around_deletion

__all__ = ["EventRecord", "Grant", "OrderedJSONField", "RowRecord", "Stream", "around_deletion"]
