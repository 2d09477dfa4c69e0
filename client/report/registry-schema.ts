import { z } from 'zod';

/**
 * One record of the Differential Privacy Deployments Registry, as its published schema has it: closed, with its names, its
 * required fields and its words. Of how sources are cited only `misc` is here, the one we write.
 *
 * @see github.com/opendp/deployments-registry-data, schemas/deployments-schema.yaml at 057e5d81cf60150dd3307e0cf4504b957802fb3b
 */
const text = z.string();
const some = text.exactOptional();

const basic = z.strictObject({
  name: text,
  data_curators: z
    .array(z.object({ data_curator_name: text, data_curator_type: z.enum(['Government', 'Industry', 'Nonprofit']) }))
    .min(1),
  description: text,
  intended_use: text,
  data_product_type: z.enum([
    'Summary statistics',
    'Machine learning model',
    'Dataset',
    'Synthetic data',
    'Interactive API',
    'SQL queries',
  ]),
  data_product_region: text,
  data_product_sector: z
    .enum(['Technology', 'Healthcare', 'Education', 'Government', 'Energy', 'Finance'])
    .exactOptional(),
  publication_date: z.iso.date(),
});

const dpVariant = z.strictObject({
  variant_name: z.enum(['Pure DP', 'Approximate DP', 'Zero-concentrated DP', 'Renyi DP', 'Custom']).exactOptional(),
  data_domain: some,
  unprotected_quantities: some,
});

const privacyLoss = z.strictObject({
  privacy_unit: some,
  privacy_unit_details: some,
  number_of_privacy_units: z.int().exactOptional(),
  privacy_parameters: z
    .strictObject({
      epsilon: z.number().exactOptional(),
      delta: z.union([z.number(), text]).exactOptional(),
      rho: z.number().exactOptional(),
    })
    .exactOptional(),
  privacy_parameters_details: some,
});

const deploymentModel = z.strictObject({
  model_name: z.enum(['Local', 'Central', 'Shuffle', 'Federated', 'Varies']).exactOptional(),
  model_name_details: some,
  trust_assumptions: some,
  actors: some,
  release_type: z.enum(['One release', 'Many releases']).exactOptional(),
  release_type_details: some,
  data_source_type: z.enum(['Static', 'Dynamic']).exactOptional(),
  data_source_type_details: some,
  access_type: z.enum(['Interactive', 'Non-interactive']).exactOptional(),
  access_type_details: some,
});

const implementation = z.strictObject({
  preprocessing_and_hyperparameter_tuning: some,
  mechanisms: some,
  composition: some,
  post_processing: some,
  justification: some,
  utility: some,
  additional_information: some,
});

const administrative = z.strictObject({
  evidence_sources: z
    .record(
      z.string().regex(/^\w+$/),
      z.strictObject({
        evidence_source_type: z.enum([
          'Peer-reviewed publication',
          'Formal publication by the deploying organization',
          'Authorized organizational attestation',
          'Other public source',
        ]),
        misc: z.strictObject({ title: text, author: text, note: text, year: text }),
      }),
    )
    .exactOptional(),
  status: z.enum([
    'Converted',
    'Draft',
    'Pending',
    'Changes Required',
    'Approved',
    'Approved (Update Requested)',
    'Approved (Pending)',
  ]),
  registry_authors: z.array(text).min(1),
  tier: z.union([z.literal(1), z.literal(2), z.literal(3)]),
});

export const registryRecord = z.strictObject({
  url_slug: text,
  deployment: z.strictObject({
    basic,
    dp_variant: dpVariant.exactOptional(),
    privacy_loss: privacyLoss.exactOptional(),
    deployment_model: deploymentModel.exactOptional(),
    implementation: implementation.exactOptional(),
    administrative,
  }),
});
export type RegistryRecord = z.infer<typeof registryRecord>;
