/** A sound with an alert, for whoever switched it on. No file: two tones. */

export const SOUND = "emergency-sound"

let audio: AudioContext | undefined

/** Browsers allow it once the page was clicked; until then it stays silent. */
export function ring(): void {
  audio ??= new AudioContext()
  void audio.resume().catch(() => undefined)
  const from = audio.currentTime
  for (const [place, hertz] of [880, 660, 880, 660].entries()) tone(audio, from + place * 0.22, hertz)
}

function tone(context: AudioContext, at: number, hertz: number): void {
  const [wave, volume] = [context.createOscillator(), context.createGain()]
  wave.frequency.value = hertz
  volume.gain.setValueAtTime(0.25, at)
  volume.gain.exponentialRampToValueAtTime(0.001, at + 0.2)
  wave.connect(volume).connect(context.destination)
  wave.start(at)
  wave.stop(at + 0.2)
}
