/** The demo's vector: what a model is given for one flight, over several groups and with what is computed on demand. */

export interface ServedVector {
  readonly names: readonly string[]
  readonly values: readonly unknown[]
  readonly statuses: readonly string[]
}

export const askedFlight = {
  service: 'connection_model_v1',
  entities: { origin: ['ATL'], destination: ['ORD'] },
  request: { distance: [606] },
}

export async function askVector(readerUrl: string): Promise<ServedVector> {
  const response = await fetch(`${readerUrl}/online`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(askedFlight),
  })
  const text = await response.text()
  if (!response.ok) throw new Error(`The reader answered ${response.status}: ${text}`)
  const { features, results } = JSON.parse(text) as {
    features: { name: string }[]
    results: Pick<ServedVector, 'values' | 'statuses'>[]
  }
  const [row = { values: [], statuses: [] }] = results
  return { names: features.map(({ name }) => name), ...row }
}
