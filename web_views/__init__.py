"""What runs in browsers: the bundled views for clinicians, a SMART app of its own, and modules for other apps."""

from pathlib import Path

STATIC = Path(__file__).parent / "static"  # served at /views: modules for other apps
APP = STATIC / "app"  # served at /app: what `make views` builds of web_views/app
