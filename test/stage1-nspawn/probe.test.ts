import t from "tap";
import { probeNspawn } from "../stage1/isolation/probe-nspawn.ts";
import { enterPrivateHost } from "../support/private-host.ts";

enterPrivateHost();
probeNspawn(t);
