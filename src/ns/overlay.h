/* SPDX-License-Identifier: Apache-2.0 */
/*
 * overlay.h - which mounts make up the guest's root
 *
 * The guest kernel decides (plan_make), the agent mounts (plan_mount). A plan
 * is a list of layers, parents first.
 */
#ifndef WEIR_NS_OVERLAY_H
#define WEIR_NS_OVERLAY_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "ns/error.h"
#include "ns/root.h"

enum layer_kind {
	LAYER_TREE,	/* a directory of the host, under an overlay or bound */
	LAYER_FILE,	/* a file of the host, bound read-only */
	LAYER_COPY,	/* a small file, copied */
	LAYER_DIR,	/* a directory made anew */
	LAYER_LINK,	/* a symbolic link made anew */
};

struct layer {
	enum layer_kind kind;
	char *path;	/* below the root, "" is the root */
	char *target;	/* of a link */
	mode_t mode;	/* of a directory or copy */
	uint64_t size;	/* bytes of a copy */
	int fd;		/* detached clone, or -1: open the path in the agent's view */
	bool bound;	/* with everything below, read-only: no overlay can be made */
};

struct plan {
	const struct root_config *cfg;
	char *base;		/* absolute path of the root on the host */
	struct layer *v;
	unsigned n, size;
	bool split;		/* the root itself is made anew */
};

int plan_make(struct plan *plan, const struct root_config *cfg, const char *base,
	      struct ns_error *err);

/* Of a root that is on a disk: the mount that it is, the plan's from now on. */
void plan_give(struct plan *plan, int tree);

void plan_destroy(struct plan *plan);

/* "/usr" below the root -> "/usr" or "/srv/guest/usr" on the host. */
void plan_host_path(const struct plan *plan, const char *rel, char buf[PATH_MAX]);

/**
 * plan_mount() - Mount the plan
 * @staging:  our tmpfs, attached at @where
 * @ret_root: the mount that is the guest's root, attached at staging/root
 */
int plan_mount(struct plan *plan, int staging, const char *where, int *ret_root,
	       struct ns_error *err);

#endif
