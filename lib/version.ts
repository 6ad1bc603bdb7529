/** The release of this program; the stage1 images it builds carry the same one. */
export const RKT_VERSION = "2.0.0";
/** The App Container specification that is implemented. */
export const APPC_VERSION = "0.8.11";
