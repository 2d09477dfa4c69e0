# One image for both: `parley coordinator` and `parley client`. Nothing of a federation is in it: keys, data and secrets are mounted.
#   docker build --tag parley:0.1.0 .
FROM node:24.21.0-bookworm-slim AS packages
WORKDIR /opt/parley
COPY package.json package-lock.json .npmrc ./
# the packages of Node for machines with an older one are not needed where Node 24 is
RUN npm ci --omit=dev && rm -rf node_modules/node-linux-* node_modules/node-win-*
COPY aggregation/kernels aggregation/kernels
# compiled here: where the image runs, nothing of it can be written
RUN node --input-type=module --eval "const { kernelsUsed } = await import('/opt/parley/aggregation/kernels/load-kernels.ts'); const { kernels, notWasm } = await kernelsUsed(); if (kernels !== 'wasm') throw new Error(notWasm)"

FROM node:24.21.0-bookworm-slim
# or glibc and V8 keep hundreds of MiB for later, more by the hour
ENV NODE_ENV=production MALLOC_ARENA_MAX=2 MALLOC_MMAP_THRESHOLD_=131072 NODE_OPTIONS=--max-semi-space-size=16
WORKDIR /opt/parley
COPY --from=packages /opt/parley/node_modules node_modules
COPY package.json parley.js cli.ts LICENSE ./
COPY aggregation aggregation
COPY client client
COPY coordinator coordinator
COPY models models
COPY privacy privacy
COPY simulation simulation
# 0700, and the only folder that anything is written to
RUN install --directory --owner=node --group=node --mode=0700 /var/lib/parley
USER node
WORKDIR /var/lib/parley
VOLUME /var/lib/parley
EXPOSE 7400
STOPSIGNAL SIGTERM
# is the process alive? Whether it can serve is asked at /readyz, and no reason to kill it. A client's is in compose.yaml
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
  CMD ["node", "--eval", "require('node:http').get('http://127.0.0.1:7400/healthz', ({ statusCode }) => process.exit(statusCode === 200 ? 0 : 1)).on('error', () => process.exit(1))"]
ENTRYPOINT ["node", "/opt/parley/parley.js"]
CMD ["coordinator", "--folder", "/var/lib/parley", "--json"]
