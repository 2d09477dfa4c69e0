import { tmpdir } from 'node:os';
import { federationOf } from '../aggregation/federation.ts';
import { type Identity, isSignedBy } from '../aggregation/identity.ts';
import type { AgreementKey } from '../aggregation/key-agreement.ts';
import type { Frame, Link } from '../aggregation/link.ts';
import { hex, makePlan, type Plan, planSchema, poolOf, taskId } from '../aggregation/plan.ts';
import { PlanRefused } from '../aggregation/plan-refused.ts';
import { startParameters } from '../aggregation/progress.ts';
import type { TenantId } from '../aggregation/secure-sum.ts';
import type { Settings } from '../aggregation/settings.ts';
import {
  answerDigest,
  decodeFromClient,
  type FromClient,
  PROTOCOL,
  type Stated,
  standingDigest,
  vectorFrom,
} from '../aggregation/wire.ts';
import { WireRefused } from '../aggregation/wire-check.ts';
import { NO_TASK } from '../privacy/ledger.ts';
import { Backlog } from './backlog.ts';
import { Conductor } from './conductor.ts';
import type { CoordinatorEvent } from './coordinator-event.ts';
import { type Counted, openCounting, type Raise } from './counting.ts';
import { type Enrolment, EnrolmentRefused, openEnrolment } from './enrolment.ts';
import { type LedgerLog, openLedgerLog } from './ledger-log.ts';
import { STRANGERS, TENANT } from './limits.ts';
import { openMembers } from './members.ts';
import { type Notices, openNotices } from './notices.ts';
import { openOutgoing, sendInTurn } from './outgoing.ts';
import { Presence } from './presence.ts';
import { recordProposal } from './proposal.ts';
import { RateLimit } from './rate-limit.ts';
import { openSession, type Session } from './session.ts';
import { startingAt } from './steady-clock.ts';
import type { EventStore } from './store/event-store.ts';
import { openWitnessing } from './witnessing.ts';
import type { World } from './world.ts';

/**
 * The server of a federation: who is connected, which tasks run, what the ledger says.
 *
 *   link ──frame──▶ identify ──▶ session ──▶ conductor of its task ──▶ event store
 *
 * It never sees a row or an open vector of one tenant. What it is trusted with, and how it is caught when it
 * cheats, is in the README's threat model.
 */
export interface Coordinator {
  /** hash that names this federation in every plan, signature and ledger entry */
  readonly federation: string;
  readonly publicKey: Uint8Array;
  readonly ledger: LedgerLog;
  readonly enrolment: Enrolment;
  readonly notices: Notices;
  readonly store: EventStore;
  /** Unix ms; never runs back, and is never before the ledger's last entry */
  readonly clock: () => number;
  /** Takes in a connection. @param agreement - of this connection alone */
  connect(link: Link, agreement?: AgreementKey): void;
  present(): ReadonlySet<TenantId>;
  /**
   * Takes a tenant's key away: nothing signed with it is heard any more.
   * @param also - done in the same transaction, first
   * @throws EnrolmentRefused when it is not enrolled
   */
  revoke(tenant: TenantId, also?: () => void): void;
  /**
   * @param also - done in the same transaction, first
   * @throws PlanRefused when the settings do not fit the roster; nothing is recorded then
   */
  propose(settings: Settings, also?: () => void): Conductor;
  task(id: string): Conductor | undefined;
  tasks(): readonly Conductor[];
  /** Where every tenant stands with every pool it has stated. */
  budgets(): readonly (Counted & { readonly tenant: TenantId })[];
  /** Higher limits of tenants that wait for approval. */
  raises(): readonly Raise[];
  /** Lets one of them count. @param also - done in the same transaction, first */
  allow(raise: Raise, also: () => void): void;
  load(): Load;
  /** Lets time pass. Call several times a second; `serve` and the simulation do. */
  tick(): Promise<void>;
  /** Takes nothing in any more; resolves when what was taken in before has had its effect, and is on disk. Then `close`. */
  settle(): Promise<void>;
  close(): void;
}

/** What waits here, at this moment. */
export interface Load {
  /** connections that have not said who they are */
  readonly strangers: number;
  /** messages of tenants that no task has looked at yet, and their bytes */
  readonly messages: number;
  readonly bytes: number;
}

export interface CoordinatorOptions {
  readonly store: EventStore;
  readonly identity: Identity;
  /** Unix milliseconds */
  readonly clock: () => number;
  readonly version: string;
  /** folder, on a disk with room, for what need not outlive this process; the system's for such files when left out */
  readonly scratch?: string;
  /** Told whenever a task changed, a tenant came or went, or something failed. */
  readonly onEvent?: (event: CoordinatorEvent) => void;
}

export async function openCoordinator(options: CoordinatorOptions): Promise<Coordinator> {
  const { store, identity, version } = options;
  const federation = federationOf(identity.publicKey);
  store.claim(federation);
  const ledger = openLedgerLog(store, identity, federation);
  const clock = startingAt(ledger.openedAt, options.clock);
  const tell = options.onEvent ?? (() => {});
  if (ledger.openedAt > options.clock()) tell({ type: 'clock-behind', ms: ledger.openedAt - options.clock() });
  const witnessing = openWitnessing(store, identity.publicKey, clock);
  const presence = new Presence(clock);
  const backlog = new Backlog();
  const strangers = new Set<Session>();
  const conductors = new Map<string, Conductor>();
  const returns = new RateLimit(TENANT.returns, clock);
  const messages = new RateLimit(TENANT.messages, clock);
  const volume = new RateLimit(TENANT.bytes, clock);
  let isSettling = false;

  const world: World = {
    store,
    ledger,
    scratch: options.scratch ?? tmpdir(),
    clock,
    present: () => presence.tenants(),
    presentWithin: (ms) => presence.within(ms),
    send: (tenant, message, left) => {
      const session = presence.of(tenant);
      if (message.type === 'refused') tell({ ...message, type: 'refused-message', tenant });
      if (session !== undefined) send(session, message, left);
    },
    sendLong: (tenant, make) => {
      const session = presence.of(tenant);
      if (session !== undefined) sendInTurn(send, session, make);
    },
    askWitnesses,
    counted: (tenant, pool) => counting.last(tenant, pool),
    isRaising,
    witnessed: (seq, plan) => witnessing.over(seq, plan),
    changed: (task, facts) => {
      const state = conductors.get(task)?.state;
      const round = state !== undefined && 'round' in state ? state.round : 0;
      tell({ type: 'task-changed', task, round, facts });
    },
    failed: (task, error) => tell({ type: 'task-failed', task, error }),
  };

  const send = openOutgoing(ledger, identity);

  /** Who is there of a task's tenants cosigns the ledger as it is now, once for each size. Others' lines would only make notes long. */
  function askWitnesses({ roster }: Plan): void {
    const { size } = ledger.head;
    const there = roster.map(({ tenant }) => tenant).filter((tenant) => presence.of(tenant) !== undefined);
    for (const tenant of witnessing.ask(size, ledger.newsSince(size).note, there))
      send(presence.of(tenant)!, { type: 'witness' });
  }

  /** For all tasks that wait for it: a tenant has come, or the ledger has grown since. */
  function askAgain(): void {
    for (const { needsWitness, plan } of conductors.values()) if (needsWitness) askWitnesses(plan);
  }

  function connect(link: Link, agreement?: AgreementKey): void {
    // who was shown out at the door is still here for a moment
    if (isSettling || strangers.size >= 2 * STRANGERS.most) return link.close();
    const session = openSession(link, clock(), agreement);
    strangers.add(session);
    link.onFrame((frame) => {
      try {
        receive(session, frame);
      } catch (error) {
        refuse(session, error);
      }
    });
    link.onClose(() => leave(session));
    const hello = { type: 'hello', protocol: PROTOCOL, federation, key: identity.publicKey } as const;
    send(session, { ...hello, exchange: session.channel.exchange });
  }

  /** Hostile bytes cost the sender its connection; a bug is reported as one. */
  function refuse(session: Session, error: unknown): void {
    if (!(error instanceof WireRefused)) throw error;
    tell({ type: 'refused-connection', reason: error.message });
    send(session, { type: 'refused', about: 'message', reason: error.message });
    end(session);
  }

  function end(session: Session): void {
    session.isOver = true;
    session.link.close();
  }

  function receive(session: Session, frame: Frame): void {
    if (session.isOver) return;
    if (isSettling) return; // it is said again over another connection
    const { tenant, channel } = session;
    if (tenant === undefined) return identify(session, frame);
    // a newer connection has taken its place, or its key was taken away: it is being closed
    if (presence.of(tenant) !== session) return;
    if (!messages.take(tenant) || !volume.take(tenant, frame.body.length))
      throw new WireRefused('more messages, or bytes, than a tenant needs');
    if (!channel.takes(frame, enrolment.keyOf(tenant)))
      throw new WireRefused('the seal does not verify: a frame of another connection, or not the next of this one');
    const message = decodeFromClient(frame.body);
    if (message.type === 'identify') throw new WireRefused('already identified');
    if (message.type === 'cosign') takeInCosignature(tenant, message);
    else if (message.type === 'standing') takeInStanding(session, tenant, message);
    else toConductor(session, tenant, message, frame.body.length);
  }

  function takeInCosignature(tenant: TenantId, { size, line }: Extract<FromClient, { type: 'cosign' }>): void {
    const key = enrolment.keyOf(tenant);
    if (key === undefined || !witnessing.hear({ tenant, key: hex(key) }, size, line)) return;
    for (const conductor of conductors.values()) if (conductor.needsWitness) void conductor.cosigned();
  }

  function takeInStanding(session: Session, tenant: TenantId, message: Stated): void {
    const { signature, ...stated } = message;
    const key = enrolment.keyOf(tenant);
    if (key === undefined || !isSignedBy(key, standingDigest(tenant, session.channel.exchange, stated), signature))
      throw new WireRefused('the signature on "standing" does not verify');
    if (stated.task !== NO_TASK && !conductors.has(stated.task)) throw new WireRefused('"standing" of no task here');
    const about = `${stated.task}/${stated.pool}`;
    if (session.stated.has(about)) return; // counting is work, and a budget changes with its tasks
    session.stated.add(about);
    const counted = counting.hear(tenant, message, session.accepted);
    if (!counted.agrees) tell({ type: 'budget-differs', tenant, ...counted });
    if (isRaising(tenant, stated.pool)) tell({ type: 'budget-raised', tenant, pool: stated.pool });
  }

  function isRaising(tenant: TenantId, pool: string): boolean {
    return counting.raises().some((raise) => raise.tenant === tenant && raise.pool === pool);
  }

  function allow(raise: Raise, also: () => void): void {
    counting.allow(raise, also);
    const key = enrolment.keyOf(raise.tenant);
    if (key === undefined || presence.of(raise.tenant) === undefined) return;
    for (const conductor of conductors.values())
      if (conductor.lists(raise.tenant, key) && poolOf(conductor.plan) === raise.pool)
        conductor.proposeAgain(raise.tenant);
  }

  type ToTask = Exclude<FromClient, { type: 'identify' | 'cosign' | 'standing' }>;

  function toConductor(session: Session, tenant: TenantId, message: ToTask, bytes: number): void {
    if (message.type === 'accept' || message.type === 'decline') checkAnswer(tenant, message);
    const conductor = conductors.get(message.task);
    const refused = (reason: string): void => world.send(tenant, { type: 'refused', about: message.type, reason });
    if (conductor === undefined) return refused('unknown-task');
    const key = enrolment.keyOf(tenant);
    // a plan pins keys: a tenant that has another one since is none of its tenants
    if (key === undefined || !conductor.lists(tenant, key)) return refused('unknown-tenant');
    // what it states next is heard before the task has looked at this
    if (message.type === 'accept') session.accepted.add(message.task);
    const done = backlog.add(tenant, message.task, bytes);
    void conductor.receive(tenant, message).then(done);
  }

  function identify(session: Session, frame: Frame): void {
    const { length } = frame.body;
    if (length > STRANGERS.greeting)
      throw new WireRefused(`a greeting of ${length} bytes, at most ${STRANGERS.greeting} are read`);
    const message = decodeFromClient(frame.body);
    if (message.type !== 'identify') throw new WireRefused('say who you are first');
    const key = enrolment.keyOf(message.tenant);
    const isItsOwn = session.channel.takes(frame, key);
    if (message.protocol !== PROTOCOL)
      throw new WireRefused(`protocol ${message.protocol} is spoken there, ${PROTOCOL} here; install the same version`);
    if (key === undefined || !isItsOwn || message.ledger > ledger.head.size) requireStore();
    // One answer for "unknown" and "wrong key": whoever guesses names learns nothing.
    if (key === undefined || !isItsOwn) throw new WireRefused('not an enrolled tenant, or not its key');
    if (!returns.take(message.tenant)) {
      tell({ type: 'refused-connection', reason: `${message.tenant} comes back too often` });
      return end(session); // no refusal, for that would be for good
    }
    const { size } = ledger.head;
    if (message.ledger > size)
      throw new WireRefused(
        `${message.tenant} has seen ${message.ledger} entries of the ledger, this coordinator has ${size}: its store is an old copy. Stop it, and restore with that ledger: parley coordinator restore`,
      );
    session.channel.agree(message.exchange);
    presence.of(message.tenant)?.link.close(); // the newer connection is the living one
    session.tenant = message.tenant;
    strangers.delete(session);
    session.ledger = message.ledger;
    for (const task of message.open) session.accepted.add(task);
    presence.enter(message.tenant, session);
    send(session, { type: 'welcome', tenant: message.tenant, version });
    session.link.identified?.();
    tell({ type: 'tenant-connected', tenant: message.tenant });
    for (const conductor of conductors.values()) {
      if (!conductor.lists(message.tenant, key)) continue;
      conductor.propose(message.tenant);
      if (message.open.includes(conductor.id)) conductor.recall(message.tenant);
    }
    // its plan was lost with a store that was restored: the ledger says how it ended
    for (const task of message.open)
      if (!conductors.has(task)) send(session, { type: 'over', task, outcome: 'stopped', reason: 'restored' });
    askAgain();
  }

  /**
   * What is refused here is refused for good. A coordinator that another has taken over from does not know who was enrolled since,
   * and what was written; it may not have noticed yet.
   */
  function requireStore(): void {
    store.ledger(ledger.head.size, 1);
  }

  function checkAnswer(tenant: TenantId, message: Extract<FromClient, { type: 'accept' | 'decline' }>): void {
    const key = enrolment.keyOf(tenant);
    if (key === undefined || !isSignedBy(key, answerDigest(tenant, message), message.signature))
      throw new WireRefused(`the signature on "${message.type}" does not verify`);
  }

  function leave(session: Session): void {
    strangers.delete(session);
    if (session.tenant === undefined || !presence.leave(session.tenant, session)) return;
    witnessing.left(session.tenant);
    tell({ type: 'tenant-left', tenant: session.tenant });
  }

  /** A key has come, gone, or been replaced. Whoever spoke with the one before is heard no more. */
  function rosterChanged(tenant: TenantId): void {
    const session = presence.of(tenant);
    if (session !== undefined) {
      leave(session);
      session.link.close();
    }
    tell({ type: 'roster-changed', tenant });
    withdrawGone();
  }

  /** Takes tenants out of the tasks whose plan has another key of theirs than the roster. */
  function withdrawGone(): void {
    for (const conductor of conductors.values()) {
      if (conductor.isOver) continue;
      for (const { tenant, key } of conductor.plan.roster) {
        const now = enrolment.keyOf(tenant);
        if (now !== undefined && hex(now) === key) continue;
        void conductor.withdraw(tenant, now === undefined ? 'is not enrolled any more' : 'has another key now');
      }
    }
  }

  function revoke(tenant: TenantId, also?: () => void): void {
    const key = enrolment.keyOf(tenant);
    if (key === undefined) throw new EnrolmentRefused(`"${tenant}" is not enrolled`);
    members.change({ tenant, change: 'revoked', key: hex(key) }, also);
  }

  function propose(settings: Settings, also?: () => void): Conductor {
    const plan = makePlan(settings, enrolment.roster(), federation, clock());
    const start = startOf(plan);
    const signature = recordProposal(plan, identity.sign, start, world, also);
    const conductor = new Conductor(plan, signature, world);
    conductors.set(conductor.id, conductor);
    for (const tenant of presence.tenants()) conductor.propose(tenant);
    askWitnesses(plan);
    return conductor;
  }

  function startOf({ settings }: Plan): Float64Array {
    if (settings.work.kind !== 'evaluate') return startParameters(settings);
    const bytes = store.parameters(settings.work.parameters);
    if (bytes === undefined)
      throw new PlanRefused('work.parameters', `no model with hash ${settings.work.parameters} was released here`);
    return vectorFrom(bytes, bytes.length / 8);
  }

  const members = openMembers(store, clock, ledger, rosterChanged);
  const enrolment = openEnrolment(store, clock, members, ledger.commit);
  const notices = openNotices({ store, ledger, members, identity, federation, clock });
  const counting = openCounting(store, ledger, clock);
  for (const stored of store.tasks()) {
    const conductor = new Conductor(planSchema.parse(JSON.parse(stored.plan)), stored.signature, world);
    conductors.set(taskId(conductor.plan), conductor);
    await conductor.resume();
  }
  withdrawGone(); // a crash may have come between the roster and its tasks

  return {
    federation,
    publicKey: identity.publicKey,
    ledger,
    enrolment,
    notices,
    store,
    clock,
    connect,
    present: world.present,
    revoke,
    propose,
    task: (id) => conductors.get(id),
    tasks: () => [...conductors.values()],
    tick: async () => {
      for (const stranger of strangers) if (clock() - stranger.since >= STRANGERS.patience) end(stranger);
      for (const conductor of conductors.values()) {
        if (!conductor.isOver) await conductor.tick();
        await conductor.sweep();
      }
      askAgain();
      witnessing.keep();
    },
    budgets: () => counting.all(),
    raises: () => counting.raises(),
    allow,
    load: () => ({
      strangers: strangers.size,
      messages: backlog.messages,
      bytes: backlog.bytes,
    }),
    settle: async () => {
      isSettling = true;
      await Promise.all([...conductors.values()].map((conductor) => conductor.park()));
    },
    close: () => {
      for (const { link } of presence.sessions()) link.close();
      for (const conductor of conductors.values()) conductor.close();
      witnessing.keep();
      store.close();
    },
  };
}
