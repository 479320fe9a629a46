import { useCallback } from "react"

/** An image that was read with the token; its address lasts as long as it is shown. */
export function Picture({ of, alt, fit }: { of: Blob; alt: string; fit: "cover" | "contain" }) {
  const shown = useCallback((image: HTMLImageElement | null) => {
    if (image === null) return
    const url = URL.createObjectURL(of)
    image.src = url
    return () => URL.revokeObjectURL(url)
  }, [of])
  const size = fit === "cover" ? { width: "100%", height: "100%" } : { maxWidth: "100%", maxHeight: "70vh", display: "block", margin: "0 auto" }
  return <img ref={shown} alt={alt} style={{ objectFit: fit, ...size }} />
}
