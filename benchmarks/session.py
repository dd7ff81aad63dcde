"""A browser tab of the app without a browser: Streamlit's own protocol over a websocket.

The app sends `ForwardMsg`s, the tab answers with a `BackMsg` that holds the state of all its widgets, and uploads go by
HTTP. Messages that the tab was sent before come as their hash, as in a browser.
"""

from __future__ import annotations

import asyncio
import secrets
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import websockets
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.Common_pb2 import FileURLs, UploadedFileInfo
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState

_LARGEST = 2**28  # bytes of a message
_MOST_KNOWN = 60  # messages that a tab keeps
_XSRF = "_streamlit_xsrf"


@dataclass
class Answer:
    """What came back for one run of a page.

    seconds: from the question until the page was finished; size: bytes
    texts: what stands in HTML, Markdown, captions; errors: red boxes and tracebacks; sent: the messages themselves
    """

    seconds: float = 0.0
    size: int = 0
    texts: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    sent: list[bytes] = field(default_factory=list)

    def says(self, text: str) -> bool:
        return any(text in part for part in self.texts)

    def holds(self, text: str) -> bool:
        """Whether the text is in any of the messages, shown or not."""
        return any(text.encode() in message for message in self.sent)


@dataclass(frozen=True)
class Widget:
    id: str
    kind: str
    fragment: str


class Session:
    """One tab. `widgets`: by key, those of the last run; `pages`: path in the URL -> hash of the page."""

    def __init__(self, url: str, patience: float = 60):
        self.url, self.patience = url.rstrip("/"), patience
        self.widgets: dict[str, Widget] = {}
        self.pages: dict[str, str] = {}
        self.page = ""
        self.id = ""
        self.query = ""
        self._states: dict[str, object] = {}  # by id of the widget: its WidgetState
        self._known: dict[str, ForwardMsg] = {}  # messages by hash

    async def open(self, query: str = "") -> Answer:
        """Connect, and run the first page."""
        parts = urlsplit(self.url)
        self._token = await asyncio.to_thread(_xsrf_token, self.url)
        self._socket = await websockets.connect(
            f"ws://{parts.netloc}{parts.path}/_stcore/stream", subprotocols=["streamlit"], max_size=_LARGEST,
            additional_headers={"Cookie": f"{_XSRF}={self._token}"}, ping_interval=None,
            open_timeout=self.patience, compression=None,
        )  # fmt: skip
        self.query = query
        return await self._run()

    async def close(self) -> None:
        await self._socket.close()

    async def set(self, **values) -> Answer:
        """Change widgets by key, as a click does; in a fragment only that runs again."""
        fragment = ""
        for key, value in values.items():
            widget = self.widgets[key]
            fragment = widget.fragment
            self._state(widget, value)
        return await self._run(fragment=fragment)

    async def go(self, path: str) -> Answer:
        """Another page, by its path in the URL. What the sidebar is set to stays."""
        self.page, self.query = self.pages[path], ""
        return await self._run()

    async def upload(self, key: str, files: Sequence[tuple[str, bytes]]) -> Answer:
        """Drop files into an uploader."""
        question = BackMsg()
        question.file_urls_request.request_id = secrets.token_hex(4)
        question.file_urls_request.session_id = self.id
        question.file_urls_request.file_names.extend(name for name, _ in files)
        await self._socket.send(question.SerializeToString())
        while True:
            message = ForwardMsg.FromString(await asyncio.wait_for(self._socket.recv(), self.patience))
            if message.WhichOneof("type") == "file_urls_response":
                break
        infos = []
        for (name, content), place in zip(files, message.file_urls_response.file_urls, strict=True):
            await asyncio.to_thread(self._put, place, name, content)
            infos.append(UploadedFileInfo(name=name, size=len(content), file_id=place.file_id, file_urls=place))
        return await self.set(**{key: infos})

    def _put(self, place: FileURLs, name: str, content: bytes) -> None:
        border = secrets.token_hex(12)
        body = (
            f'--{border}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        ).encode() + content + f"\r\n--{border}--\r\n".encode()  # fmt: skip
        headers = {
            "Content-Type": f"multipart/form-data; boundary={border}", "X-Xsrftoken": self._token,
            "Cookie": f"{_XSRF}={self._token}",
        }  # fmt: skip
        parts = urlsplit(self.url)
        address = f"{parts.scheme}://{parts.netloc}{parts.path}/{place.upload_url.lstrip('/')}"
        if place.upload_url.startswith(parts.path + "/") and parts.path:
            address = f"{parts.scheme}://{parts.netloc}{place.upload_url}"
        request = urllib.request.Request(address, body, headers, method="PUT")
        urllib.request.urlopen(request, timeout=self.patience).close()

    def _state(self, widget: Widget, value) -> None:
        state = WidgetState(id=widget.id)
        if isinstance(value, bool):
            state.bool_value = value
        elif isinstance(value, str) and widget.kind == "button_group":
            state.string_array_value.data.append(value)
        elif isinstance(value, str):
            state.string_value = value
        else:
            state.file_uploader_state_value.uploaded_file_info.extend(value)
        self._states[widget.id] = state

    async def _run(self, fragment: str = "") -> Answer:
        question = BackMsg()
        state = question.rerun_script
        state.query_string, state.page_script_hash, state.fragment_id = self.query, self.page, fragment
        state.context_info.timezone, state.context_info.locale = "UTC", "en"
        state.context_info.url, state.context_info.color_scheme = self.url, "light"
        # A browser forgets widgets that are gone.
        shown = {widget.id for widget in self.widgets.values()}
        self._states = {id: value for id, value in self._states.items() if id in shown}
        state.widget_states.widgets.extend(self._states.values())
        while len(self._known) > _MOST_KNOWN:
            self._known.pop(next(iter(self._known)))
        state.cached_message_hashes.extend(self._known)
        started = time.monotonic()
        await self._socket.send(question.SerializeToString())
        answer = await asyncio.wait_for(self._finished(fragment), self.patience)
        answer.seconds = time.monotonic() - started
        return answer

    async def _finished(self, fragment: str) -> Answer:
        answer = Answer()
        widgets: dict[str, Widget] = {}
        while True:
            content = await self._socket.recv()
            answer.size += len(content)
            message = ForwardMsg.FromString(content)
            kind = message.WhichOneof("type")
            if kind == "ref_hash":
                message = self._known[message.ref_hash]
                kind = message.WhichOneof("type")
            elif message.metadata.cacheable:
                self._known[message.hash] = message
            answer.sent.append(content)
            if kind == "new_session":
                self.id = message.new_session.initialize.session_id
                if not fragment:
                    widgets = {}
                    answer.texts.clear()
            elif kind == "navigation":
                self.pages = {page.url_pathname: page.page_script_hash for page in message.navigation.app_pages}
            elif kind == "page_info_changed":
                self.query = message.page_info_changed.query_string
            elif kind == "delta":
                _read(message.delta, widgets, answer)
            elif kind == "script_finished":
                end = message.ScriptFinishedStatus.Name(message.script_finished)
                if end == "FINISHED_EARLY_FOR_RERUN":
                    continue
                if end not in ("FINISHED_SUCCESSFULLY", "FINISHED_FRAGMENT_RUN_SUCCESSFULLY"):
                    answer.errors.append(end)
                self.widgets = {**self.widgets, **widgets} if fragment else widgets
                return answer


def _read(delta, widgets: dict[str, Widget], answer: Answer) -> None:
    """Note the widgets, texts and errors of a part of the page."""
    if delta.WhichOneof("type") == "add_block":
        block = delta.add_block
        if block.WhichOneof("type") == "tab_container" and block.tab_container.id:
            _note(block.tab_container.id, "tabs", delta.fragment_id, widgets)
        return
    element = delta.new_element
    kind = element.WhichOneof("type")
    if kind is None:
        return
    part = getattr(element, kind)
    if kind == "exception":
        answer.errors.append(f"{part.type}: {part.message}")
    elif kind == "alert":
        if part.format == part.ERROR:
            answer.errors.append(part.body)
        answer.texts.append(part.body)
    elif kind in ("html", "markdown"):
        answer.texts.append(part.body)
    if getattr(part, "id", ""):
        _note(part.id, kind, delta.fragment_id, widgets)


def _note(id: str, kind: str, fragment: str, widgets: dict[str, Widget]) -> None:
    """Streamlit's ids end in the key of the widget: $$ID-<hash>-<key>."""
    key = id.split("-", 2)[-1]
    if key != "None":
        widgets[key] = Widget(id, kind, fragment)


def _xsrf_token(url: str) -> str:
    """The token that the app gives a browser as a cookie, and wants back with an upload."""
    with urllib.request.urlopen(f"{url}/_stcore/health", timeout=30) as answer:
        for cookie in answer.headers.get_all("Set-Cookie") or ():
            name, _, rest = cookie.partition("=")
            if name == _XSRF:
                return rest.partition(";")[0]
    return ""
