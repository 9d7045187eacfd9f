"""Every setting of the service, from the environment (`CHAPERONE_…`); `docs/settings.md` lists them."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="CHAPERONE_", frozen=True)

    data: Path = Field(Path("var"), description="Folder for the database, keys and recordings.")
    keys_folder: Path | None = Field(None, description="Folder for the keys, best on a volume of its own; empty: in `data`.")
    database_url: str = Field("", description="PostgreSQL (postgresql+psycopg://…); empty: SQLite inside the data folder.")
    recordings: str = Field("", description="Where sealed recordings are kept: s3://bucket/folder; empty: in the data folder.")
    s3_access_file: Path | None = Field(None, description="File with the endpoint and the access keys of S3 stores.")
    backup_recipients: str = Field("", description="Public age keys of who may restore a back-up, comma-separated.")
    host: str = Field("127.0.0.1", description="Address to listen on for HTTP.")
    port: int = Field(8000, description="Port to listen on for HTTP.")
    public_url: str = Field("", description="The address people type, such as https://lessons.school.example.")
    tls_certificate: Path | None = Field(None, description="Certificate chain (PEM) for HTTPS.")
    tls_key: Path | None = Field(None, description="Private key (PEM) for HTTPS.")
    trusted_proxy: str = Field("", description="Address of the reverse proxy whose X-Forwarded headers are believed.")
    media_port: int = Field(0, description="UDP and TCP port for media; 0 picks a free one.")
    media_addresses: str = Field("", description="Addresses to bind for media, comma-separated; empty: all of the host.")
    media_public_addresses: str = Field("", description="Public addresses to announce as well (1:1 NAT).")
    smtp_host: str = Field("", description="Mail server for notices; empty: nobody is told by e-mail.")
    smtp_port: int = Field(587, description="Its port.")
    smtp_tls: str = Field("starttls", description="`starttls`, `tls` (from the first byte) or `none`.")
    smtp_user: str = Field("", description="Who signs in to it, if anybody.")
    smtp_password_file: Path | None = Field(None, description="File with that user's password.")
    smtp_sender: str = Field("", description="The address that notices come from.")
    push_contact: str = Field("", description="E-mail address for push services; empty: `smtp_sender`; neither: no pushes.")
    push_hosts: str = Field(
        "fcm.googleapis.com,updates.push.services.mozilla.com,.push.apple.com,.notify.windows.com",
        description="Push services that may be sent to, comma-separated; a dot first: any host below.")
    trunk_host: str = Field("", description="SIP trunk for calls to families; empty: none.")
    trunk_port: int = Field(5060, description="Its port.")
    trunk_transport: str = Field("udp", description="`udp`, `tcp` or `tls`.")
    trunk_user: str = Field("", description="Who signs in to it (digest authentication), if anybody.")
    trunk_password_file: Path | None = Field(None, description="File with that user's password.")
    trunk_ca_file: Path | None = Field(None, description="Certificates (PEM) that sign the trunk's; empty: the machine's.")
    trunk_srtp: bool = Field(False, description="Encrypt the sound too; needs `tls`.")
    trunk_number: str = Field("", description="The school's number, which families see and may ring back, with its plus sign.")
    trunk_asserted: bool = Field(False, description="Where no number is shown, still name it to the network.")
    trunk_office: str = Field("", description="SIP address that rings when a family rings back.")
    trunk_address: str = Field("", description="This server's IPv4 address towards the trunk.")
    trunk_public_address: str = Field("", description="What a router makes of that address (1:1 NAT).")
    trunk_sip_port: int = Field(5060, description="Port for SIP from the trunk.")
    trunk_sound_ports: str = Field("42000-42199", description="UDP ports for sound from the trunk, two a call.")
    trunk_browser_ports: str = Field("43000-43199", description="UDP ports for sound from callers' browsers, two a call.")
    trunk_message: Path | None = Field(None, description="Sound file that is played to answering machines.")
    provider_url: str = Field("", description="Where a hosted telephone provider's REST interface is; empty: none.")
    provider_account: str = Field("", description="The account's id there.")
    provider_token_file: Path | None = Field(None, description="File with the account's token.")
    provider_number: str = Field("", description="The school's number there, which families see, with its plus sign.")
    provider_message: str = Field(
        "This is a message from school. Please ring us back on the number that you see. Thank you.",
        description="For answering machines: words to read out, or the https address of a recording.")
    metrics_token: str = Field("", description="Bearer token for /metrics; empty: only from the machine itself.")
    dev: bool = Field(False, description="Demo school and sign-in links. Never set by `serve`.")

    @property
    def url(self) -> str:
        return self.database_url or f"sqlite+aiosqlite:///{self.data / 'chaperone.sqlite3'}"

    @property
    def keys(self) -> Path:
        return self.keys_folder or self.data / "keys"

    @property
    def origin(self) -> str:
        return self.public_url.rstrip("/") or f"http://localhost:{self.port}"
