"""The bundled views for clinicians: a SMART app of its own."""
