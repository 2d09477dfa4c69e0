import { mkdirSync } from 'node:fs';
import type { Server as TlsServer } from 'node:https';
import type { Secret } from '../aggregation/at-rest.ts';
import { isStorageError } from '../aggregation/exit.ts';
import { federationOf } from '../aggregation/federation.ts';
import { keysIn } from '../aggregation/folder-keys.ts';
import { fingerprint } from '../aggregation/identity.ts';
import { openAccess } from './access/access.ts';
import { type Coordinator, openCoordinator } from './coordinator.ts';
import type { CoordinatorEvent } from './coordinator-event.ts';
import { Door } from './door.ts';
import { openHttp } from './http/app.ts';
import { acceptClients, limitSockets, refuseToListen, trusting } from './listener.ts';
import { steadyClock } from './steady-clock.ts';
import { type StoreOptions, storeOf } from './store/store-of.ts';
import { credentials, followCertificate, type TlsFiles, validTo } from './tls.ts';
import { logEvent } from './watching/event-log.ts';
import { openMetrics } from './watching/metrics.ts';
import { openReadiness } from './watching/readiness.ts';

/**
 * A coordinator on a port: HTTP for people and auditors, one WebSocket path for clients, a folder for everything
 * it must not forget.
 *
 *   folder/identity.pem     the federation's key (0600), plain or protected
 *   folder/operator.token   the first operator's token (0600)
 *   folder/oidc.json        who else says who people are; where they sign in elsewhere
 *   folder/events.db        facts, ledger, roster; or in PostgreSQL
 */
export interface Serving {
  readonly coordinator: Coordinator;
  /** http(s)://host:port */
  readonly url: string;
  /** Looks at the certificate's files now, and not only every few seconds. */
  lookAtCertificate(): void;
  /**
   * Takes nothing in any more, brings what it has in hand to disk, sends the clients away to come back, and lets go of store and
   * port. Waits for answers under way, however slowly they are read.
   */
  close(): Promise<void>;
}

export interface ServeOptions extends StoreOptions {
  /** opens the folder's key where it is protected; protects a new one */
  readonly secret?: Secret | undefined;
  /** without, plaintext: on loopback, behind `trustProxy`, or where `insecurePlaintext` says that the network is closed */
  readonly tls?: TlsFiles | undefined;
  /** addresses and CIDR blocks whose X-Forwarded-For is believed, for limits by address */
  readonly trustProxy?: readonly string[] | undefined;
  readonly insecurePlaintext?: boolean | undefined;
  readonly version: string;
  /** ledger, models and results are for everybody, not for those alone who show a token or a tenant's key */
  readonly openReading?: boolean | undefined;
  /** makes another operator's token in the folder, for this person */
  readonly newOperator?: string | undefined;
}

const TICK_MS = 100;

export async function serve(options: ServeOptions): Promise<Serving> {
  const { folder, log, version, trustProxy = [], tls: files } = options;
  if (files === undefined && trustProxy.length === 0 && !options.insecurePlaintext) refuseToListen(options.host);
  const trust = trusting(trustProxy);
  const tls = files && credentials(files);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const { identity } = keysIn(folder, options.secret);
  const { store: opened, port } = await storeOf(options, federationOf(identity.publicKey));
  const metrics = openMetrics(Date.now);
  const store = metrics.timed(opened);
  const onEvent = (event: CoordinatorEvent): void => {
    logEvent(log, event);
    metrics.follow(event);
    if (event.type === 'task-failed' && isStorageError(event.error)) options.onFailure(event.error);
  };
  const clock = steadyClock(
    Date.now,
    () => performance.now(),
    (ms) =>
      log.warn(
        { ms },
        "the system's clock was put back: this coordinator goes on with its own until that has passed it",
      ),
  );
  const [coordinator, access] = await openCoordinator({ store, identity, clock, version, scratch: folder, onEvent })
    .then((opened) => {
      const { newOperator } = options;
      return [opened, openAccess({ coordinator: opened, identity, folder, newOperator, clock: Date.now })] as const;
    })
    .catch((error: unknown) => {
      store.close(); // what refuses the store must not hold it
      throw error;
    });

  let isEnding = false;
  const checks = openReadiness({
    ...{ store, folder, clock: Date.now },
    ledgerSize: () => coordinator.ledger.head.size,
    isEnding: () => isEnding,
  });
  const app = await openHttp({
    ...{ coordinator, access, metrics, checks, folder, version, log, tls, trust },
    openReading: options.openReading ?? false,
    isEnding: () => isEnding,
  });

  const door = new Door(Date.now, metrics.turnedAway);
  limitSockets(app.server, door, trust);
  const clients = acceptClients(app.server, { door, trust, connect: coordinator.connect });
  metrics.watch({ coordinator, clients, server: app.server, folder, checks });
  const listening = await app.listen({ host: options.host, port }).catch(async (error: unknown) => {
    await app.close();
    coordinator.close();
    throw error;
  });
  const url = tls === undefined ? listening : listening.replace(/^http:/, 'https:');
  const certificate = files && followCertificate(app.server as TlsServer, files, log);
  const ticking = setInterval(() => void coordinator.tick(), TICK_MS);
  const certified = tls && { certificate: validTo(tls) };
  log.info({ url, fingerprint: fingerprint(identity.publicKey), ...certified }, 'coordinator is up');

  return {
    coordinator,
    url,
    lookAtCertificate: () => certificate?.look(),
    async close() {
      clearInterval(ticking);
      certificate?.stop();
      isEnding = true;
      clients.shut();
      try {
        await coordinator.settle();
      } finally {
        await clients.end();
        await app.close();
        coordinator.close();
      }
    },
  };
}
