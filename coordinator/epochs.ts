import { shapeOf } from '../aggregation/plan.ts';
import { type CoordinatorEpoch, ProtocolBroken, type ReceivedAll } from '../aggregation/secure-sum.ts';
import { epochOccasion, transcriptOf } from '../aggregation/transcript.ts';
import type { Course } from './course.ts';
import { type Hearing, sorted } from './hearing.ts';
import type { Running } from './task.ts';

/** The coordinator's side of the epoch under way. It is on no disk: after a restart it is built again from what the tenants said. */
export class Epochs {
  readonly #course: Course;
  readonly #hearing: Hearing;
  #open: CoordinatorEpoch | undefined;

  constructor(course: Course, hearing: Hearing) {
    this.#course = course;
    this.#hearing = hearing;
  }

  /** Begins the epoch that the task is in. */
  async open(): Promise<void> {
    const { plan, protocol, running } = this.#course;
    const transcript = transcriptOf(epochOccasion(protocol, this.#hearing.occasion({ ...running, keyed: false })));
    this.#open = await protocol.coordinator({ shape: shapeOf(plan), members: running.parties, transcript });
  }

  /** After a restart: from what was said before. */
  async resume(): Promise<void> {
    await this.open();
    const { protocol, running } = this.#course;
    if (running.keyed && protocol.keying.length > 0) await this.of(running).keyed(this.#keyingHeard(running));
  }

  /** @throws ProtocolBroken when it is not open */
  of(state: Running): CoordinatorEpoch {
    if (this.#open === undefined) throw new ProtocolBroken(`epoch ${state.epoch} is not open at the coordinator`);
    return this.#open;
  }

  /** Its keys count no longer. */
  forget(): void {
    this.#open?.forget();
    this.#open = undefined;
  }

  #keyingHeard(state: Running): ReceivedAll {
    const last = this.#course.protocol.keying.at(-1)!;
    return sorted(this.#hearing.said({ epoch: state.epoch, round: 0, stage: last.name, attempt: 1 }));
  }
}
