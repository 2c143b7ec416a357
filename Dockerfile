FROM node:24-bookworm-slim AS base
WORKDIR /app
COPY package.json package-lock.json ./


FROM base AS build
# No package that is used here needs an install script, and a stranger's script has no business in an image.
RUN --mount=type=cache,target=/root/.npm npm ci --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY migrations migrations
COPY src src
RUN npx tsc -p tsconfig.build.json --sourceMap false


FROM base AS dependencies
# npm keeps typescript because @nestjs/swagger may use it, but only for a compiler plugin that this service does
# without; the source maps are a quarter of the rest, and nothing reads them.
RUN --mount=type=cache,target=/root/.npm npm ci --omit=dev --ignore-scripts \
  && rm -rf node_modules/typescript node_modules/.bin \
  && find node_modules -name '*.map' -type f -delete


FROM node:24-bookworm-slim
ENV NODE_ENV=production HOST=0.0.0.0 DATA_DIR=/data
# A named volume takes its owner and mode from this folder when it is first mounted.
RUN install -d -o node -g node -m 0700 /data
WORKDIR /app
# Its "type" makes Node.js take the files for modules. The mode is stated because the build's context may bring one
# that only its owner can read.
COPY --chmod=644 package.json ./
COPY --from=dependencies /app/node_modules node_modules
COPY --from=build /app/dist/migrations dist/migrations
COPY --from=build /app/dist/src dist/src
USER node
VOLUME /data
EXPOSE 3000
# The image has no curl. Liveness, not readiness: a restart of the service does not bring PostgreSQL back.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \
  CMD ["node", "-e", "fetch('http://127.0.0.1:' + (process.env.PORT || 3000) + '/health/live').then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
# Not through npm, which would stand between the service and its signals. The limits are those of "start:prod": without
# them Node.js lets garbage pile up to twice the memory under load.
CMD ["node", "--max-semi-space-size=16", "--heap-growing-percent=50", "dist/src/main.js"]
