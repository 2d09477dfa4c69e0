import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, statSync } from 'node:fs';
import { type IncomingMessage, request as rawRequest } from 'node:http';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { createIdentity, fingerprint, type Identity, isSignedBy } from '../../aggregation/identity.ts';
import { ledgerExport } from '../../aggregation/ledger-export.ts';
import { hex, planDigest, planText } from '../../aggregation/plan.ts';
import { verifyLedgerExport } from '../../aggregation/verify-ledger.ts';
import { stayConnected } from '../../client/connect.ts';
import { newToken } from '../../coordinator/access/new-token.ts';
import { type Backend, startBackend } from '../../models/backend.ts';
import { parseCheckpoint } from '../../privacy/transparency/checkpoint.ts';
import { leafHash, treeRoot } from '../../privacy/transparency/merkle.ts';
import { parseNote } from '../../privacy/transparency/signed-note.ts';
import { parseBundle, parseTile } from '../../privacy/transparency/tiles.ts';
import { enrol, tenantsFor } from '../support/federation-on-disk.ts';
import { temporaryFolder } from '../support/folder.ts';
import { bearer, enrolOverHttp, type Server, startServer } from '../support/serving.ts';
import { FIVE, NOWHERE, smallTask } from '../support/small-task.ts';

const UNKNOWN_TASK = 'ab'.repeat(32);

interface Problem {
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly field?: string;
}

/** The answer is problem details with exactly these, and shows nothing of the inside. */
async function expectProblem(response: Response, status: number, detail: string, field?: string): Promise<void> {
  const text = await response.text();
  expect(response.status, text).toBe(status);
  expect(response.headers.get('content-type')).toContain('application/problem+json');
  const problem = JSON.parse(text) as Problem;
  expect(problem.status).toBe(status);
  expect(problem.detail).toContain(detail);
  expect(problem.field).toBe(field);
  expect(text).not.toMatch(/\.ts\b|node_modules|\bat .*\(|SQLITE|stack/);
}

async function enrolFive(server: Server): Promise<void> {
  for (const tenant of FIVE) expect((await enrolOverHttp(server, tenant)).response.status).toBe(200);
}

describe('anybody', () => {
  test('may ask whether it is up', async () => {
    const { get } = await startServer();
    const response = await get('/healthz');
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({ status: 'ok' });
  });

  test.each([
    [
      'HTTP/2 (curl --http2, Java)',
      { upgrade: 'h2c', connection: 'Upgrade, HTTP2-Settings', 'http2-settings': 'AAMAAABk' },
    ],
    ['whatever it likes', { upgrade: 'websocket2', connection: 'upgrade' }],
  ])('that offers %s is answered in HTTP/1.1', async (_, headers) => {
    const { url } = await startServer();
    const request = rawRequest(`${url}/healthz`, { headers });
    request.end();
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    expect([response.statusCode, response.httpVersion]).toEqual([200, '1.1']);
    expect(JSON.parse(await text(response))).toEqual({ status: 'ok' });
  });

  test('may see who is in the federation, and compare fingerprints', async () => {
    const server = await startServer();
    const { identity } = await enrolOverHttp(server, 'amber');
    expect(await (await server.get('/federation')).json()).toEqual({
      federation: server.coordinator.federation,
      fingerprint: fingerprint(server.coordinator.publicKey),
      key: hex(server.coordinator.publicKey),
      version: '9.9.9-test',
      protocol: 2,
      tenants: [
        {
          ...{ tenant: 'amber', fingerprint: fingerprint(identity.publicKey) },
          ...{ enrolledAt: expect.any(Number), connected: false, raises: [] },
        },
      ],
    });
  });

  test('reads the interface in OpenAPI, and as a page', async () => {
    const { get } = await startServer();
    const page = await get('/docs');
    expect(page.status).toBe(200);
    expect(page.headers.get('content-type')).toContain('text/html');
    const { info, paths } = (await (await get('/docs/json')).json()) as { info: { title: string }; paths: object };
    expect(info.title).toBe('Parley coordinator');
    for (const path of ['/healthz', '/federation', '/tasks', '/tasks/{task}/plan', '/ledger', '/enrolments'])
      expect(Object.keys(paths)).toContain(path);
  });

  test('gets no tasks where there are none, and a 404 for one that is unknown', async () => {
    const { get } = await startServer();
    expect(await (await get('/tasks')).json()).toEqual([]);
    for (const path of ['', '/plan', '/rounds'])
      await expectProblem(await get(`/tasks/${UNKNOWN_TASK}${path}`), 404, 'no such task');
    await expectProblem(await get(`/tasks/${UNKNOWN_TASK}/model/model.json`), 404, 'no model was released');
    await expectProblem(await get(`/tasks/${UNKNOWN_TASK}/model/weights.bin`), 404, 'no model was released');
    await expectProblem(await get(`/tasks/${UNKNOWN_TASK}/result`), 404, 'no result');
    await expectProblem(await get(`/parameters/${UNKNOWN_TASK}`), 404, 'no parameters');
  });

  test('gets a 404 where nothing is, and a 400 for what is no task id or no number', async () => {
    const { get } = await startServer();
    await expectProblem(await get('/secrets'), 404, 'there is nothing at /secrets; see /docs');
    await expectProblem(await get('/tasks/../../etc/passwd'), 404, 'there is nothing at');
    await expectProblem(await get('/tasks/short'), 400, 'params/task');
  });

  test('is answered with the headers of a careful server', async () => {
    const { get } = await startServer();
    const { headers } = await get('/healthz');
    expect(headers.get('content-security-policy')).toContain("default-src 'self'");
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    expect(headers.get('x-frame-options')).toBe('SAMEORIGIN');
    expect(headers.get('strict-transport-security')).not.toBeNull();
    expect(headers.get('x-powered-by')).toBeNull();
    expect(headers.get('access-control-allow-origin')).toBeNull();
    expect(Number(headers.get('x-ratelimit-limit'))).toBeGreaterThan(0);
  });
});

describe('only the operator', () => {
  const operations = [
    ['/invitations', { tenant: 'amber' }],
    ['/tasks', smallTask()],
    [`/tasks/${UNKNOWN_TASK}/stop`, {}],
  ] as const;

  test.each(operations)(
    'may post to %s: no token, a wrong one or part of it is refused, and nothing is done',
    async (path, body) => {
      const server = await startServer();
      const { token } = server;
      const other = `${token.startsWith('x') ? 'y' : 'x'}${token.slice(1)}`;
      for (const shown of ['', 'x', token.slice(0, -1), `${token}x`, token.toUpperCase(), other])
        await expectProblem(await server.post(path, body, shown), 401, 'opens nothing here');
      const headers = { 'content-type': 'application/json', authorization: token };
      const init = { method: 'POST', body: JSON.stringify(body) };
      await expectProblem(await server.get(path, { ...init, headers }), 401, 'opens nothing here');
      await expectProblem(await server.get(path, init), 401, 'this needs the token of an operator');
      expect(server.coordinator.store.invitations()).toEqual([]);
      expect(server.coordinator.tasks()).toEqual([]);
      expect((await server.post(path, body)).status).not.toBe(401);
    },
  );

  test('can read the token and the key: files of mode 600, made once', async () => {
    const server = await startServer();
    expect(server.token).toMatch(/^plt_[0-9a-f]{16}_[\w-]{43}$/);
    for (const file of ['operator.token', 'identity.pem'])
      expect(statSync(join(server.folder, file)).mode & 0o777).toBe(0o600);
    const { publicKey } = server.coordinator;
    await server.close();
    const again = await startServer(server.folder);
    expect(again.token).toBe(server.token);
    expect(again.coordinator.publicKey).toEqual(publicKey);
  });

  test('finds neither token nor key in the log', async () => {
    const server = await startServer();
    await server.post('/invitations', { tenant: 'amber' });
    expect(server.log.length).toBeGreaterThan(0);
    expect(server.log.join('')).not.toContain(server.token);
    expect(server.log.join('')).not.toContain('PRIVATE KEY');
  });
});

describe('a tenant joins with its code,', () => {
  test.each([{ tenant: ['amber'] }, { tenant: 7 }, { tenant: 'amber', role: 'operator' }])(
    'is not understood to mean something else: %o',
    async (body) => {
      const server = await startServer();
      await expectProblem(await server.post('/invitations', body), 400, 'body');
      expect(server.coordinator.store.invitations()).toEqual([]);
    },
  );

  test('once', async () => {
    const server = await startServer();
    const { response, body } = await enrolOverHttp(server, 'amber');
    expect(await response.json()).toEqual({
      tenant: 'amber',
      coordinator: fingerprint(server.coordinator.publicKey),
    });
    const headers = { 'content-type': 'application/json' };
    const again = await server.get('/enrolments', { method: 'POST', headers, body });
    await expectProblem(again, 403, 'this code was used before');
    await expectProblem(await server.post('/invitations', { tenant: 'amber' }), 403, 'is enrolled already');
  });

  test('or is told which field is wrong', async () => {
    const server = await startServer();
    const good = { tenant: 'amber', proof: 'ab'.repeat(32), key: 'ab'.repeat(32), signature: 'ab'.repeat(64) };
    const send = (body: unknown): Promise<Response> => server.post('/enrolments', body, 'no token is needed');
    await expectProblem(await send(good), 403, 'invites nobody');
    await expectProblem(await send({ ...good, key: 'short' }), 400, 'body/key');
    await expectProblem(await send({ ...good, signature: undefined }), 400, "'signature'");
    await expectProblem(await send('text'), 400, 'body');
    const headers = { 'content-type': 'application/json' };
    await expectProblem(await server.get('/enrolments', { method: 'POST', headers, body: '{"tenant":' }), 400, 'JSON');
    await expectProblem(await server.post('/invitations', { tenant: '../amber' }), 403, 'is no tenant name');
  });

  test('and whoever guesses codes is slowed down', async () => {
    const server = await startServer();
    const guess = { tenant: 'amber', proof: 'ab'.repeat(32), key: 'ab'.repeat(32), signature: 'ab'.repeat(64) };
    for (let i = 0; i < 20; i++) await (await server.post('/enrolments', guess)).text();
    await expectProblem(await server.post('/enrolments', guess), 429, 'Rate limit exceeded');
  });
});

describe('a task is refused by the name of the setting', () => {
  const { privacy, secureSum, work } = smallTask('threshold-he');
  test.each<[string, object, number, string, string]>([
    [
      'when the cohort is larger than the roster',
      { secureSum: { ...secureSum, minCohort: 6 } },
      422,
      'secureSum.minCohort',
      'only 5 tenants',
    ],
    [
      'when the cohort is too small for its openers',
      { secureSum: { ...secureSum, minCohort: 3 } },
      422,
      'secureSum',
      'need 4 openers',
    ],
    ['when ε is above 8', { privacy: { ...privacy, epsilon: 8.5 } }, 422, 'privacy.epsilon', 'protects nobody'],
    ['when batches would be cut', { privacy: { ...privacy, maxBatch: 12 } }, 422, 'privacy.maxBatch', 'cut too often'],
    ['when a number is text', { work: { ...work, rounds: 'ten' } }, 422, 'work.rounds', 'expected number'],
    [
      'when a model was never released',
      {
        work: { kind: 'evaluate', model: { kind: 'logistic' }, parameters: NOWHERE, trainedBy: NOWHERE, bins: 16 },
        privacy: { ...privacy, samplingRate: 1 },
      },
      422,
      'work.parameters',
      'no model with hash',
    ],
  ])('%s', async (_, change, status, field, detail) => {
    const server = await startServer();
    for (const tenant of FIVE) enrol(server.coordinator.enrolment, tenant, createIdentity());
    await expectProblem(
      await server.post('/tasks', { ...smallTask('threshold-he'), ...change }),
      status,
      detail,
      field,
    );
    expect(server.coordinator.tasks()).toEqual([]);
    expect(server.coordinator.ledger.head.size).toBe(FIVE.length); // the roster, and nothing else
  });

  test('when the bits do not suffice', async () => {
    const server = await startServer();
    const nine = [...FIVE, 'fawn', 'green', 'hazel', 'ivory'];
    for (const tenant of nine) enrol(server.coordinator.enrolment, tenant, createIdentity());
    const tooFine = { ...privacy, gridSteps: 2 ** 24, maxBatch: 1_000_000 };
    const task = { ...smallTask('threshold-he'), privacy: tooFine, secureSum: { ...secureSum, minCohort: 9 } };
    await expectProblem(await server.post('/tasks', task), 422, 'bits, threshold-he has', 'privacy.maxBatch');
  });

  test('when nobody is enrolled, and when it is no task at all', async () => {
    const server = await startServer();
    await expectProblem(await server.post('/tasks', smallTask()), 422, 'only 0 tenants', 'secureSum.minCohort');
    await expectProblem(await server.post('/tasks', {}), 422, 'name', 'name');
  });
});

describe('a task over HTTP', () => {
  let backend: Backend;
  beforeAll(async () => {
    backend = await startBackend('cpu');
  });

  async function withTenants(server: Server, identities: ReadonlyMap<string, Identity>): Promise<void> {
    for (const [tenant, identity] of identities)
      expect((await enrolOverHttp(server, tenant, identity)).response.status).toBe(200);
  }

  /** A consumer reads the result, and neither how it came to be nor who took part. */
  async function expectOnlyReleased(
    server: Server,
    { id, rounds }: { id: string; rounds: readonly { model: string }[] },
  ): Promise<void> {
    const { token, id: known, secretHash } = newToken();
    await server.post('/tokens', { id: known, secretHash, role: 'consumer', holder: 'shop', days: 1 });
    const read = (path: string): Promise<Response> => server.get(path, { headers: bearer(token) });
    const tasks = (await (await read('/tasks')).json()) as object[];
    expect(tasks.map((one) => Object.keys(one).sort())).toEqual([
      ['charges', 'id', 'kind', 'model', 'name', 'openings', 'phase', 'privacy', 'rounds', 'steps'],
    ]);
    expect((await read(`/tasks/${id}/model/weights.bin`)).status).toBe(200);
    expect((await read(`/parameters/${rounds.at(-1)!.model}`)).status).toBe(200);
    await expectProblem(await read(`/parameters/${rounds[0]!.model}`), 404, 'no parameters');
    expect((await server.get(`/parameters/${rounds[0]!.model}`)).status).toBe(200);
    const other = (await (await server.post('/tasks', smallTask())).json()) as { id: string };
    expect(await (await read('/tasks')).json()).toHaveLength(1); // that one has released nothing
    await server.post(`/tasks/${other.id}/stop`, {});
  }

  async function until(isTrue: () => Promise<boolean>): Promise<void> {
    for (const end = Date.now() + 20_000; !(await isTrue()); await sleep(50))
      if (Date.now() > end) throw new Error('waited in vain');
  }

  test('runs over real sockets to its end; its model, rounds, parameters and ledger can be read', async () => {
    const server = await startServer();
    const tenants = tenantsFor(server.coordinator.publicKey, backend, FIVE);
    await withTenants(server, tenants.identities);
    const stopped = new AbortController();
    const clients = [...tenants.participants.values()].map((participant) =>
      stayConnected(participant, server.url, { signal: stopped.signal, sleep: (ms) => sleep(ms), onRetry: () => {} }),
    );
    onTestFinished(() => stopped.abort());
    await until(async () => server.coordinator.present().size === 5);

    const started = await server.post('/tasks', smallTask('threshold-he'));
    expect(started.status).toBe(200);
    const { id, privacy } = (await started.json()) as { id: string; privacy: { epsilon: object } };
    const view = async () => (await (await server.get(`/tasks/${id}`)).json()) as Record<string, unknown>;
    await until(async () => (await view())['phase'] === 'finished');
    expect(await view()).toMatchObject({
      steps: 3,
      rounds: 3,
      charges: 3,
      accepted: FIVE,
      declined: {},
      connected: FIVE,
    });
    expect(await (await server.get('/tasks')).json()).toEqual([await view()]);

    const { plan, signature } = (await (await server.get(`/tasks/${id}/plan`)).json()) as {
      plan: never;
      signature: string;
    };
    const signed = planDigest(planText(plan));
    expect(isSignedBy(server.coordinator.publicKey, signed, Buffer.from(signature, 'hex'))).toBe(true);

    const rounds = (await (await server.get(`/tasks/${id}/rounds`)).json()) as { round: number; model: string }[];
    expect(rounds.map(({ round }) => round)).toEqual([1, 2, 3]);
    expect(Object.keys(rounds[0]!).sort()).toEqual(['contributions', 'model', 'round']);

    const model = (await (await server.get(`/tasks/${id}/model/model.json`)).json()) as Record<string, unknown>;
    expect(model).toHaveProperty('modelTopology');
    expect(model).toHaveProperty('weightsManifest');
    expect(JSON.stringify(model)).toContain(id);
    expect(JSON.stringify(model)).toContain(JSON.stringify(privacy.epsilon).slice(1, -1).split(',')[0]);
    const weights = await server.get(`/tasks/${id}/model/weights.bin`);
    expect((await weights.arrayBuffer()).byteLength).toBe(4 * 3);
    const parameters = await server.get(`/parameters/${rounds[2]!.model}`);
    expect((await parameters.arrayBuffer()).byteLength).toBe(8 * 3);
    await expectProblem(await server.get(`/tasks/${id}/result`), 404, 'no result of its own');

    const ledger = ledgerExport.parse(await (await server.get('/ledger')).json());
    const verdict = verifyLedgerExport(ledger, { coordinator: fingerprint(server.coordinator.publicKey) });
    expect(verdict).toMatchObject({ verified: true, findings: [], tasks: [{ task: id, witnessed: 'end' }] });
    // the same log, piece by piece, for those who know tiles only
    const { size, root } = parseCheckpoint(parseNote(await (await server.get('/checkpoint')).text()).text);
    const tile = async (path: string) => new Uint8Array(await (await server.get(`/${path}`)).arrayBuffer());
    const width = size % 256;
    const entries = parseBundle(await tile(`tile/entries/000.p/${width}`), width);
    expect(entries.map((entry) => JSON.parse(Buffer.from(entry).toString()))).toEqual(ledger.entries.slice(0, size));
    expect(parseTile(await tile(`tile/0/000.p/${width}`), width)).toEqual(entries.map(leafHash));
    expect(treeRoot(entries.map(leafHash))).toEqual(root);
    await expectProblem(await server.get('/tile/0/001'), 404, 'no such tile');
    await expectProblem(await server.get('/tile/0/1'), 404, 'no such tile');
    await expectOnlyReleased(server, { id, rounds });
    stopped.abort();
    await Promise.all(clients);
  });

  test('is stopped by the operator, and the ledger says so', async () => {
    const server = await startServer();
    await enrolFive(server);
    const { id } = (await (await server.post('/tasks', smallTask())).json()) as { id: string };
    const stopped = await server.post(`/tasks/${id}/stop`, {});
    expect(await stopped.json()).toMatchObject({ phase: 'stopped', reason: 'stopped-by-operator', charges: 0 });
    const { entries } = (await (await server.get('/ledger')).json()) as { entries: object[] };
    expect(entries.at(-1)).toMatchObject({ kind: 'stop', task: id, reason: 'stopped-by-operator' });
    await expectProblem(await server.get(`/tasks/${id}/model/model.json`), 404, 'no model was released');
    await expectProblem(await server.post(`/tasks/${UNKNOWN_TASK}/stop`, {}), 404, 'no such task');
  });
});

describe('a port that is in use', () => {
  async function occupied(): Promise<number> {
    const holder = createServer();
    await new Promise<void>((resolve) => holder.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void holder.close());
    return (holder.address() as { port: number }).port;
  }

  test('ends the command with the code for networks, in one line', async () => {
    const port = await occupied();
    const folder = join(temporaryFolder(), 'new');
    const parley = fileURLToPath(new URL('../../parley.js', import.meta.url));
    const { status, stderr, stdout } = spawnSync(
      process.execPath,
      [parley, 'coordinator', '--folder', folder, '--port', String(port)],
      { encoding: 'utf8', timeout: 30_000 },
    );
    expect(status, stderr).toBe(5);
    expect(stderr).toContain(String(port));
    expect(stderr).not.toMatch(/\n\s+at /);
    expect(stdout).toBe('');
    expect(existsSync(join(folder, 'events.db'))).toBe(true);
  });
});

test.each(['//', '//:', '/\\', '/federation/../x', '*'])(
  'an upgrade of %s costs the sender its connection, not the process',
  async (path) => {
    const server = await startServer();
    const { port } = new URL(server.url);
    await new Promise<void>((resolve) => {
      const request = rawRequest({
        host: '127.0.0.1',
        port,
        path,
        headers: {
          connection: 'Upgrade',
          upgrade: 'websocket',
          'sec-websocket-version': '13',
          'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==',
        },
      });
      request.on('error', () => resolve());
      request.on('response', (response) => resolve(void response.resume()));
      request.on('upgrade', () => {
        throw new Error('was upgraded');
      });
      request.end();
    });
    expect((await server.get('/healthz')).status).toBe(200);
  },
);
