import { EVERYBODY } from '../../privacy/poisson.ts';
import type { ReportFigures, TaskFigures } from './figures.ts';
import { shortTask } from './figures.ts';
import { isIn, isoDay } from './period.ts';
import { type RegistryRecord, registryRecord } from './registry-schema.ts';
import { epsilonText, short } from './rounded.ts';
import { assumptions, NOT_COVERED, type Statement, UNPROTECTED } from './statements.ts';
import { type Yaml, yamlText } from './yaml.ts';

/**
 * Finished tasks as records of the Differential Privacy Deployments Registry, tier 3, each a draft: what a ledger cannot know
 * (region, sector, who writes to the registry, how useful the result is) is said to be missing, in the field itself.
 */

/** What stands where a person has to write. */
export const TO_FILL_IN = 'Not in the ledger: to be filled in before this is sent to the registry.';

/** One record for each task that finished in the period. */
export const registryRecords = (figures: ReportFigures): readonly RegistryRecord[] =>
  figures.tasks
    .filter(({ end }) => end?.kind === 'finish' && isIn(figures.period, end.at))
    .map((task) => registryRecord.parse(recordOf(task, figures)));

/** As a stream of YAML documents; the registry keeps each in a file of its own. */
export const registryText = (records: readonly RegistryRecord[]): string =>
  records.map((record) => `---\n${yamlText(record as Yaml)}`).join('');

type Parts = Required<RegistryRecord['deployment']>;

function recordOf(task: TaskFigures, figures: ReportFigures): RegistryRecord {
  return {
    url_slug: `parley-${task.plan.use.purpose}-${shortTask(task.task)}`.toLowerCase(),
    deployment: {
      basic: basic(task),
      dp_variant: {
        variant_name: 'Approximate DP',
        data_domain: `Rows of the customers of ${task.plan.roster.length} business units, at most ${task.plan.mechanism.maxCustomers} customers of each, in the columns, bounds and categories that the plan states.`,
        unprotected_quantities: listed(UNPROTECTED),
      },
      privacy_loss: privacyLoss(task),
      deployment_model: deploymentModel(task),
      implementation: implementation(task, figures),
      administrative: administrative(task, figures),
    },
  };
}

function basic({ plan, task, end }: TaskFigures): Parts['basic'] {
  const { use, roster, pool } = plan;
  const isEvaluation = pool === 'held-out';
  const legal = use.legalBasis === undefined ? '' : ` Legal basis: ${use.legalBasis}.`;
  const retention = use.retentionDays === undefined ? '' : ` To be used for ${use.retentionDays} days.`;
  return {
    name: `${isEvaluation ? 'Evaluation' : 'Model'} for ${use.purpose} (task ${shortTask(task)})`,
    data_curators: roster.map(({ tenant }) => ({ data_curator_name: tenant, data_curator_type: 'Industry' })),
    description: `${isEvaluation ? 'Figures of merit of a model on customers it was not trained on' : 'A model'}, computed by ${roster.length} business units together from noisy sums; no unit's rows left it.`,
    intended_use: `${use.purpose}.${legal}${retention}`,
    data_product_type: isEvaluation ? 'Summary statistics' : 'Machine learning model',
    data_product_region: TO_FILL_IN,
    publication_date: isoDay(end!.at),
  };
}

const UNIT = {
  customer: 'Customer (all rows of one name in one business unit)',
  'row-as-customer': 'Customer (one row is one customer)',
  tenant: 'Business unit',
} as const;

function privacyLoss({ plan, planned, charged }: TaskFigures): Parts['privacy_loss'] {
  const { coalition } = planned.stated;
  const three = (of: typeof planned): string =>
    `release ${epsilonText(of.stated.release)}, coalition ${epsilonText(of.stated.coalition)}, floor ${epsilonText(of.stated.floor)}`;
  const finite = Number.isFinite(coalition) ? { epsilon: Number(epsilonText(coalition)) } : {};
  return {
    privacy_unit: UNIT[plan.unit],
    privacy_unit_details: `Two sets of data are adjacent when one is the other with one such unit added or removed (unbounded neighbours). A customer is taken to be a customer of at most ${plan.tenantsPerCustomer} of the business units. How many customers there are is not public.`,
    privacy_parameters: { ...finite, delta: plan.delta },
    privacy_parameters_details: `ε of everything planned (${planned.openings} openings): ${three(planned)}. Of what was opened (${charged.openings}): ${three(charged)}. "release" is against an outsider, "coalition" against the coordinator together with the business units that may collude (${plan.trust.colluders}), "floor" against everybody else together. All are upper bounds by numerical composition of privacy losses.`,
  };
}

function deploymentModel({ plan, releases }: TaskFigures): Parts['deployment_model'] {
  const { trust } = plan;
  const isLocal = trust.mode === 'record-local';
  const isSecured = trust.secureSum !== 'plain';
  const noise = isLocal
    ? 'Each business unit adds the whole noise to its own contribution.'
    : 'Each business unit adds a share of the noise to its own contribution; the sum carries the whole noise.';
  const sums = isSecured
    ? 'Only secure sums of contributions are ever seen.'
    : 'Sums were not secured: the coordinator saw each contribution, with no noise but its own.';
  const colluders =
    isLocal || !isSecured
      ? 'No business unit is trusted by another.'
      : `At most ${trust.colluders} of at least ${trust.minCohort} business units in a sum work together with the coordinator.`;
  return {
    model_name: 'Federated',
    model_name_details: `${noise} ${sums}`,
    trust_assumptions: `The coordinator is not trusted with anything about customers. ${colluders} Whoever sees results may know everything else.`,
    actors:
      'Business units: hold the rows, clip, add noise, and open sums together. Coordinator: runs rounds, keeps the ledger, sees sums. Users of the result: see what is released.',
    release_type: 'One release',
    release_type_details: `One result. The business units and the coordinator also saw it after each of ${releases} rounds; all of these are counted.`,
    data_source_type: 'Static',
    data_source_type_details: 'Each business unit commits to its data when it accepts the task.',
    access_type: 'Non-interactive',
    access_type_details: 'Nobody puts questions to the data: the plan was fixed and signed before the first sum.',
  };
}

function implementation({ plan, planned }: TaskFigures, figures: ReportFigures): Parts['implementation'] {
  const { mechanism, trust } = plan;
  const { rate, noiseMultiplier, clipNorm, gridSteps, dimension, rounds, openings } = mechanism;
  const sampled = rate === EVERYBODY ? 'all customers' : `a Poisson sample at rate ${short(rate / EVERYBODY)}`;
  return {
    preprocessing_and_hyperparameter_tuning: listed(NOT_COVERED),
    mechanisms:
      `Discrete Gaussian mechanism on sums over ${sampled}, by parley (TypeScript, Apache-2.0): L2 clipping per customer to ${short(clipNorm)}, ` +
      `a grid of ${gridSteps} steps to the clip norm, ${dimension} coordinates, noise multiplier ${short(noiseMultiplier)}, ${rounds} rounds. ` +
      `Contributions are added under the secure sum "${trust.secureSum}". ` +
      'Timing: batches are padded to a fixed size, noise is drawn before the batch is known, contributions leave at fixed times. ' +
      'Floating point: from clipping on everything is an integer, and the noise is sampled exactly. ' +
      "Platform: randomness is the operating system's; keys and rows stay on each business unit's own machine.",
    composition: `Sequential, over ${openings} openings planned, numerically by privacy loss distributions; ε for a customer of 1, 2 and 3 business units: ${planned.byCopies.coalition.map(epsilonText).join(', ')}. Totals over all tasks are in the report that goes with this record.`,
    post_processing:
      'Model updates, averaging of the last iterates, rounding to float32, and figures computed from noisy sums.',
    justification: `The coalition ε is what noise is calibrated for, charged and compared with budgets. It holds if: ${listed(assumptions({ ...figures, tasks: figures.tasks.filter((task) => task.plan === plan) }))}`,
    utility: TO_FILL_IN,
    additional_information: TO_FILL_IN,
  };
}

function administrative({ plan, witnessed, end }: TaskFigures, { ledger }: ReportFigures): Parts['administrative'] {
  const cosigned =
    witnessed === 'end'
      ? 'Cosigned by the quorum of its roster.'
      : 'Its end is not cosigned by the quorum of its roster: it does not count yet.';
  return {
    evidence_sources: {
      ledger: {
        evidence_source_type: 'Authorized organizational attestation',
        misc: {
          title: 'Ledger of the federation, with a signed and cosigned checkpoint',
          author: `Coordinator ${ledger.signedBy}`,
          note: `Plan ${plan.planHash}, entry ${plan.seq} of ${ledger.entries}, root ${ledger.root}. ${cosigned} Verify with: parley ledger verify`,
          year: isoDay(end!.at).slice(0, 4),
        },
      },
    },
    status: 'Draft',
    registry_authors: [TO_FILL_IN],
    tier: 3,
  };
}

const listed = (statements: readonly Statement[]): string =>
  statements.map(({ about, text }) => `${about}: ${text}`).join(' ');
