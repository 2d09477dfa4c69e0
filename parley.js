#!/usr/bin/env node
// The one entry: finds a Node that can run Parley, then the command line itself.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const NEEDED = [22, 18];
const [major, minor] = process.versions.node.split('.').map(Number);

if (major > NEEDED[0] || (major === NEEDED[0] && minor >= NEEDED[1])) {
  const built = new URL('dist/cli.js', import.meta.url);
  const source = new URL('cli.ts', import.meta.url);
  const { main } = await import(existsSync(source) ? source.href : built.href);
  process.exitCode = await main(process.argv.slice(2));
} else {
  // The project brings Node 24 as a locked package where it can; see optionalDependencies.
  const own = fileURLToPath(new URL('node_modules/.bin/node', import.meta.url));
  if (process.env.PARLEY_NODE_SWITCHED || !existsSync(own)) {
    console.error(`Parley needs Node ${NEEDED.join('.')} or newer; this is ${process.versions.node}.
Install Node 24, or run \`npm ci\` here without --omit=optional: it brings one for Linux and Windows.`);
    process.exitCode = 2;
  } else {
    const { status } = spawnSync(own, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], {
      stdio: 'inherit',
      env: { ...process.env, PARLEY_NODE_SWITCHED: '1' },
    });
    process.exitCode = status ?? 1;
  }
}
