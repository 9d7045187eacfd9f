# One image for a school's server. The same locks and commands as on any machine: `make app`, then `python -m service`.
FROM python:3.11-slim-bookworm AS built
RUN apt-get update && apt-get install -y --no-install-recommends make && rm -rf /var/lib/apt/lists/*
WORKDIR /chaperone
COPY . .
RUN make app && rm -rf node_modules .tools

FROM python:3.11-slim-bookworm
RUN useradd --system --uid 10001 --no-create-home chaperone && install -d -o chaperone -m 700 /var/lib/chaperone /backup /backup-keys
COPY --from=built /chaperone /chaperone
RUN ln -s /chaperone/.venv/bin/chaperone /usr/local/bin/chaperone
WORKDIR /chaperone
USER chaperone
ENV CHAPERONE_DATA=/var/lib/chaperone CHAPERONE_HOST=0.0.0.0 CHAPERONE_MEDIA_PORT=40000 PYTHONUNBUFFERED=1
VOLUME /var/lib/chaperone
EXPOSE 8000/tcp 40000/udp 40000/tcp
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 \
  CMD [".venv/bin/python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
ENTRYPOINT [".venv/bin/python", "-m", "service"]
CMD ["serve"]
