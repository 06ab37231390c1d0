/* SPDX-License-Identifier: Apache-2.0 */
/*
 * feature.h - host features that a test may hide
 *
 * WEIR_TEST_MASK=idmap,cgroup2 makes every probe of these features answer
 * "absent", so that a test sees what weir does on a host without them. It only
 * ever takes something away; a user may set it, nothing is gained by it.
 */
#ifndef WEIR_NS_FEATURE_H
#define WEIR_NS_FEATURE_H

#include <stdbool.h>

/* userns netns timens cgroupns utsns ipcns pidns mntns overlay idmap openat2 open_tree devpts
 * mqueue sysfs fuse cgroup2 cgroup1 newuidmap subuid perf procchildren vdso mdwe ptrace veth */
bool host_feature_masked(const char *name);

#endif
