/** In which of a Redis Cluster's slots a key lies: CRC16 (XMODEM) of what stands in its first braces, or of all of it. */
export const slotCount = 16_384

export function keySlot(key: string | Buffer): number {
  const bytes = typeof key === 'string' ? Buffer.from(key) : key
  const open = bytes.indexOf(0x7b)
  const close = open < 0 ? -1 : bytes.indexOf(0x7d, open + 1)
  const isTagged = close > open + 1
  return crc16(bytes, isTagged ? open + 1 : 0, isTagged ? close : bytes.length) % slotCount
}

const polynomial = 0x1021

const table = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8
  for (let bit = 0; bit < 8; bit++) crc = (crc & 0x8000) === 0 ? crc << 1 : (crc << 1) ^ polynomial
  return crc & 0xffff
})

function crc16(bytes: Buffer, from: number, to: number): number {
  let crc = 0
  for (let at = from; at < to; at++) {
    crc = ((crc << 8) & 0xffff) ^ (table[((crc >> 8) ^ (bytes[at] ?? 0)) & 0xff] ?? 0)
  }
  return crc
}
