#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# conf/build in a small tree of its own: what it makes again and what not, and
# the one sentence that it has for everything that can be missing.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(basename dirname);
use File::Copy ();
use File::Path qw(make_path);
use File::Temp ();
use Test::More;
use Time::HiRes ();

use lib dirname(Cwd::realpath(__FILE__)) . '/lib';

use Mesh::Test;

my $top = Mesh::Test->top;
my $tree = File::Temp::tempdir('mesh-build-XXXXXXXX', TMPDIR => 1,
                               CLEANUP => 1);
my $probe = 'modules/status/ngx_http_mesh_status_module';

make_path("$tree/$_")
    for qw(conf shared modules/ucan modules/status modules/mesh t/unit);

for my $file (qw(config conf/build conf/programs.mk shared/exports.map)) {
    File::Copy::copy("$top/$file", "$tree/$file") or die "$file: $!";
}

chmod 0755, "$tree/conf/build";

sub write_file {
    my ($name, $text) = @_;

    open my $file, '>', "$tree/$name" or die "$name: $!";
    print {$file} $text;
    close $file or die "$name: $!";

    return;
}

sub build {
    my (@args) = @_;

    my $env = ref $args[0] ? shift @args : {};
    my ($rc, $out, $err)
        = Mesh::Test::run([ "$tree/conf/build", @args ], env => $env);

    return ($rc, $out . $err);
}

# What a build wrote anew, of what the one before it left.

my %before;

sub remember {
    %before = map { $_ => (Time::HiRes::stat("$tree/.build/$_"))[9] // 0 }
              qw(configure.log objs/addon/shared/probe.o mesh
                 objs/addon/ucan/ngx_http_ucan_module.o programs/probe_test.o);

    return;
}

sub is_new {
    my ($name) = @_;

    return (Time::HiRes::stat("$tree/.build/$name"))[9] != $before{$name};
}

for my $name ('ucan', 'mesh_status') {
    my $folder = $name eq 'ucan' ? 'ucan' : 'status';

    write_file("modules/$folder/ngx_http_${name}_module.c", <<"END");
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "probe.h"

static ngx_http_module_t  ctx;

ngx_module_t  ngx_http_${name}_module = {
    NGX_MODULE_V1, &ctx, NULL, NGX_HTTP_MODULE, NULL, NULL, NULL, NULL,
    NULL, NULL, NULL, NGX_MODULE_V1_PADDING
};
END
}

write_file('shared/probe.h', "int probe_count(int n);\n");
write_file('shared/probe.c',
           "#include \"probe.h\"\nint probe_count(int n) { return n; }\n");
write_file('modules/mesh/mesh.c', "int main(void) { return 0; }\n");
write_file('t/unit/probe_test.c',
           "#include \"probe.h\"\n"
           . "int main(void) { return probe_count(0); }\n");


# What is made again.

my ($rc, $text) = build('modules', 'mesh', 'unit');

is($rc, 0, 'builds modules and programs') or diag($text);
ok(-f "$tree/.build/ngx_http_ucan_module.so", 'a module for each folder');
ok(-x "$tree/.build/mesh", 'the mesh command');
ok(-x "$tree/.build/unit/probe_test", 'unit tests');

remember();
($rc, $text) = build('modules', 'mesh', 'unit');

ok(!is_new('configure.log'), 'a second build does not configure');
ok(!is_new('objs/addon/shared/probe.o'), 'nor compile');
ok(!is_new('mesh'), 'nor link');
is(() = $text =~ /\n/g, 1, 'and says one line');

remember();
write_file('shared/probe.h', "int probe_count(int n);\n\n");
build('modules', 'unit');

ok(!is_new('configure.log'), 'a changed header does not configure');
ok(is_new('objs/addon/ucan/ngx_http_ucan_module.o'),
   'but compiles what may include it');
ok(is_new('programs/probe_test.o'), 'programs too');

remember();
write_file('shared/probe_more.c', "int  probe_more = 1;\n");
build('modules');

ok(is_new('configure.log'), 'a new source file configures');
ok(-f "$tree/.build/objs/addon/shared/probe_more.o", 'and is compiled');
ok(!is_new('objs/addon/shared/probe.o'), 'but no other one is');

write_file('shared/probe_more.c', "int  probe_more = nothing;\n");
unlink "$tree/.build/unit/probe_test";
($rc, $text) = build('modules', 'unit');

isnt($rc, 0, 'an error of the compiler is an error of the build');
like($text, qr/probe_more\.c:1:.*nothing/,
     'which shows what the compiler said');
ok(-x "$tree/.build/unit/probe_test", 'what does not need that file is built');


# What may be missing.

($rc, $text) = build({ CC => 'no-such-compiler' });

is($rc, 1, 'a missing compiler ends it');
is($text, "conf/build: there is no compiler \"no-such-compiler\" "
          . "(from \$CC)\n", 'in one sentence');

write_file('cc', "#!/bin/sh\ncase \"\$*\" in *-E*) exit 1; esac\n");
chmod 0755, "$tree/cc";

SKIP: {
    skip 'headers are in /usr/include', 1 if -e '/usr/include/sodium.h';

    ($rc, $text) = build({ CC => "$tree/cc" });
    like($text, qr/on Debian install:.*libsodium-dev/,
         'a missing library is named with its package');
}

my $blank = "$tree/a tree";

make_path("$blank/conf");
File::Copy::copy("$top/conf/build", "$blank/conf/build");
chmod 0755, "$blank/conf/build";
($rc, my $out, my $err) = Mesh::Test::run([ "$blank/conf/build" ]);

is($rc, 1, 'a folder with a blank in its name ends it');
like($err, qr/^conf\/build: .*blank.*\n\z/, 'in one sentence');

# root may write anywhere, so a file stands where the folder should be

Mesh::Test::run([ 'rm', '-rf', "$tree/.build" ]);
write_file('.build', '');
($rc, $text) = build('mesh');

is($rc, 1, 'a build folder that cannot be written to ends it');
like($text, qr/\Aconf\/build: cannot write to ".*\.build"\n\z/,
     'in one sentence');

done_testing;
