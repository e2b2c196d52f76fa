# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# Programs of the tree that are not nginx modules: the mesh command, the unit
# tests, the fuzz targets and the programs that replay their seeds.  Run by
# conf/build, which sets
#
#     OUT      folder that the programs go to
#     OBJ      folder for objects, one for each compiler and its flags
#     CC       compiler
#     FLAGS    flags of the flavour, for compiling and linking
#     MONGO    flags of libmongoc, empty without it
#
# and calls it twice: "objects" with -k, then what is wanted.  An object that
# does not compile is left out of the archives, so that it stops only what
# needs it.

CORE    := $(filter-out shared/ngx_%,$(wildcard shared/*.c))
STORE   := $(wildcard shared/store/*.c)
MESH    := $(wildcard modules/mesh/*.c)
UNIT    := $(wildcard t/unit/*.c)
FUZZ    := $(wildcard t/fuzz/*_fuzz.c)
REPLAY  := t/fuzz/fuzz_replay.c

object   = $(addprefix $(OBJ)/,$(notdir $(1:.c=.o)))
program  = $(addprefix $(OUT)/$(2)/,$(notdir $(1:.c=)))

CFLAGS  := -std=gnu11 $(FLAGS) -Wall -W -Wpointer-arith \
           -Wno-unused-parameter -Werror -D_GNU_SOURCE -pthread \
           -Ishared -Ishared/store -Imodules/mesh -It/unit
LIBS    := -Wl,--as-needed -lsqlite3 -lsodium -lcrypto -lz -ljansson -lm

# The MongoDB adapter, when conf/build found libmongoc: flags, or nothing.

ifneq ($(MONGO),)
CFLAGS  += -DSTORE_HAVE_MONGO $(MONGO)
LIBS    += -lmongoc-1.0 -lbson-1.0 -lpthread
endif

ARCHIVES = $(wildcard $(OBJ)/libstore.a $(OBJ)/libmesh.a)


.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: objects archives mesh unit replay fuzz

vpath %.c shared shared/store modules/mesh t/unit t/fuzz

$(OBJ)/%.o: %.c $(OBJ)/flags
	@rm -f $@
	$(CC) -c $(CFLAGS) -MMD -MP -o $@ $<

-include $(wildcard $(OBJ)/*.d)


objects: $(call object,$(CORE) $(STORE))


# The archives hold the objects that exist now, sources that are gone do not
# linger in them.

archives: $(OBJ)/libmesh.a $(OBJ)/libstore.a

$(OBJ)/libmesh.a: $(wildcard $(call object,$(CORE)))
	rm -f $@ && ar rcs $@ $^

$(OBJ)/libstore.a: $(wildcard $(call object,$(STORE)))
	rm -f $@ && ar rcs $@ $^


# Programs.

link = mkdir -p $(@D) && \
       $(CC) $(CFLAGS) -o $@.new $(filter %.o,$^) $(ARCHIVES) $(LIBS) && \
       mv $@.new $@

mesh: $(if $(MESH),$(OUT)/mesh)
unit: $(call program,$(UNIT),unit)
replay: $(patsubst %,%_replay,$(call program,$(FUZZ),fuzz))
fuzz: $(call program,$(FUZZ),fuzz)

$(OUT)/mesh: $(call object,$(MESH)) $(ARCHIVES)
	$(link)

$(OUT)/unit/%: $(OBJ)/%.o $(ARCHIVES)
	$(link)

$(OUT)/fuzz/%_replay: $(OBJ)/%.o $(call object,$(REPLAY)) $(ARCHIVES)
	$(link)

$(OUT)/fuzz/%: $(OBJ)/%.o $(ARCHIVES)
	$(link)
