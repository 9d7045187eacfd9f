"""The parents' app: an installable web app at `/m/`, made of the files in `static`, that uses nothing but `/api/v1`."""
