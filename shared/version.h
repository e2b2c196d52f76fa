/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The version of the whole: modules, programs and papers have one.
 */


#ifndef _VERSION_H_INCLUDED_
#define _VERSION_H_INCLUDED_


#define MESH_VERSION  "0.1.0"


#endif /* _VERSION_H_INCLUDED_ */
