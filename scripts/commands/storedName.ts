/** A feature group as tables and sentences name what a store keeps of it: itself, or its slot in a pre-joined service. */
export const storedName = (group: string, service: string | null): string =>
  service === null ? group : `${group}, slot of ${service}`
