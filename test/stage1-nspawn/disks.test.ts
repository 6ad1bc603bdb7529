import t from "tap";
import { testDisks } from "../stage1/conformance/nspawn-disks.ts";
import { enterPrivateHost } from "../support/private-host.ts";

enterPrivateHost();
testDisks(t);
