import type { Plan } from '../aggregation/plan.ts';
import { dropNoise, type NoiseShare } from '../privacy/noise.ts';
import type { Noised } from '../privacy/steps.ts';
import { type Customers, contribution } from './contribution.ts';
import type { ClientWorld } from './participant.ts';

/**
 * This tenant's vectors for one task, each under a noise share of its own.
 *
 *   noise ──drawn ahead──▶ share ──▶ batch ──▶ vector      a round that is held again gets all three anew
 *
 * The share is there before the batch it will hide is drawn, so the time it takes cannot depend on data.
 */
export class FreshVectors {
  readonly #plan: Plan;
  readonly #customers: Customers;
  readonly #world: Pick<ClientWorld, 'noise' | 'backend' | 'random'>;
  /** the next vector's; another is asked for as soon as it is used */
  #noise: Promise<NoiseShare>;

  constructor(plan: Plan, customers: Customers, world: Pick<ClientWorld, 'noise' | 'backend' | 'random'>) {
    this.#plan = plan;
    this.#customers = customers;
    this.#world = world;
    this.#noise = this.#askForNoise();
  }

  /**
   * A vector for one round. Begins when the answer under way has left, so that its time does not tell how long a batch
   * took, and needs nobody else.
   *
   * @param parameters - what the round starts from
   */
  next(parameters: Float64Array): Promise<Noised> {
    const vector = afterThisTurn().then(() => this.#drawn(parameters));
    vector.catch(() => {}); // awaited where it is used; a round that ends before must not leave a rejection unhandled
    return vector;
  }

  /** Overwrites the noise that was drawn ahead. */
  forget(): void {
    this.#noise.then(dropNoise, () => {});
  }

  async #drawn(parameters: Float64Array): Promise<Noised> {
    const asked = this.#noise;
    this.#noise = this.#askForNoise();
    const noise = await asked; // before the batch is drawn: how long it took must not depend on data
    const { backend, random } = this.#world;
    return contribution(this.#plan, this.#customers, parameters, noise, { backend, random });
  }

  #askForNoise(): Promise<NoiseShare> {
    const { shareStdDev, dimension } = this.#plan.derived;
    const share = this.#world.noise.draw(shareStdDev, dimension);
    share.catch(() => {}); // a supply that broke stops the task where the share is used
    return share;
  }
}

/** When everything that is to be sent in this turn has been handed to the connection. */
const afterThisTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
