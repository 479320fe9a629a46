/** What the server takes: 6 MiB of JSON a file, in which bytes are a third longer, and 16 MiB a request. */
export const FILE_MOST = 4_500_000
export const TOGETHER_MOST = 11_500_000

/** "820 KB", "1.2 MB". */
export function sizeText(bytes: number | undefined): string | undefined {
  if (bytes === undefined) return undefined
  return bytes < 999_500 ? `${Math.max(1, Math.round(bytes / 1000))} KB` : `${(bytes / 1_000_000).toFixed(1)} MB`
}

/** Why these files cannot be sent together, if they cannot. */
export function tooMuch(files: readonly { name: string; size: number }[]): string | undefined {
  const big = files.find(({ size }) => size > FILE_MOST)
  if (big !== undefined) return `${big.name} has ${sizeText(big.size)}; a file may have ${sizeText(FILE_MOST)}.`
  const all = files.reduce((sum, { size }) => sum + size, 0)
  return all > TOGETHER_MOST
    ? `The files have ${sizeText(all)} together; a message may have ${sizeText(TOGETHER_MOST)}. Send them in several.`
    : undefined
}
