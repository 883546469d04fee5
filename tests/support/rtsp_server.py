"""A GStreamer RTSP server, as cameras have one, for the video that arrives at a port as MPEG-TS over UDP.

/usr/bin/python3 rtsp_server.py PORT VIDEO_PORT USER PASSWORD

Run by the system's own Python, which the package python3-gi is for. It prints ``ready`` once it listens, and
then for each client that sets up a stream the transport that it asked for.
"""

from __future__ import annotations

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402

# At most a second is spent on finding out what arrives, and what is not fetched is not kept.
PIPELINE = (
    "udpsrc address=127.0.0.1 port={} caps=video/mpegts,systemstream=true,packetsize=188 ! tsdemux latency=1 "
    "! queue ! h264parse ! rtph264pay name=pay0 pt=96 config-interval=-1"
)


def main() -> None:
    """Serve for ever."""
    port, video_port, user, password = sys.argv[1:]
    Gst.init(None)
    server = GstRtspServer.RTSPServer.new()
    server.set_address("127.0.0.1")
    server.set_service(port)
    factory = GstRtspServer.RTSPMediaFactory.new()
    factory.set_launch(PIPELINE.format(video_port))
    factory.set_shared(True)
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", user)
    auth = GstRtspServer.RTSPAuth.new()
    auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
    auth.set_supported_methods(GstRtsp.RTSPAuthMethod.BASIC)
    server.set_auth(auth)
    permissions = GstRtspServer.RTSPPermissions()
    permissions.add_permission_for_role(user, "media.factory.access", True)
    permissions.add_permission_for_role(user, "media.factory.construct", True)
    factory.set_permissions(permissions)
    server.get_mount_points().add_factory("/cam", factory)
    server.connect("client-connected", lambda _server, client: client.connect("setup-request", report))
    server.attach(None)
    print("ready", flush=True)
    GLib.MainLoop().run()


def report(_client: object, context: object) -> None:
    """Print what transport a client asks for."""
    _, transport = context.request.get_header(GstRtsp.RTSPHeaderField.TRANSPORT, 0)
    print(transport, flush=True)


main()
