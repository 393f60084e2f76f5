FROM python:3.13-slim
WORKDIR /srv
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY app app
COPY api api
COPY bot bot
COPY webapp webapp
COPY connectors connectors
COPY simulator simulator
COPY services services
COPY storage storage
COPY domain domain
COPY locales locales
RUN pip install --no-cache-dir -c constraints.txt . \
    && useradd --create-home --uid 10001 pilot && mkdir /data && chown pilot /data
USER pilot
ENV HOST=0.0.0.0 PORT=3100 PILOT_DATA_DIR=/data LOG_FORMAT=json
VOLUME /data
EXPOSE 3100
HEALTHCHECK --interval=10s --start-period=30s CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:3100/health', timeout=5)"]
# exec form: SIGTERM reaches the process, which hands over what it has in hand within ten seconds
CMD ["pilot", "serve"]
