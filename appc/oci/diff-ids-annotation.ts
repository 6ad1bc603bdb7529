/** Annotation of the manifest of a converted image: the diff IDs of its layers, bottom first, between commas. */
export const DIFF_IDS_ANNOTATION = "rkt.io/oci/diffids";
