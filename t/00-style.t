#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# The house style holds over the whole tree, and each rule finds the fault
# that is planted for it.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(basename dirname);
use File::Find ();
use Test::More;

use lib dirname(Cwd::realpath(__FILE__)) . '/lib';

use Mesh::Style;

my $top = dirname(dirname(Cwd::realpath(__FILE__)));

chdir $top or die "$top: $!";


# The tree.

my (@c, @scripts);

File::Find::find({ no_chdir => 1, wanted => sub {
    my $path = $File::Find::name =~ s{^\./}{}r;

    if ($path =~ m{^(?:\.git|\.build|\.node|\.run|run|LICENSE)$}) {
        $File::Find::prune = 1;
        return;
    }

    return unless -f $path && $path !~ m{(?:_seeds|vectors|node_modules)/};

    push @c, $path if $path =~ /\.[ch]$/;
    push @scripts, $path
        if $path =~ m{\.(?:t|pm|pl|sh|conf|mk)$
                      |^(?:config|conf/(?:up|build)|t/run|\.ci/run)$}x;
} }, '.');

sub slurp {
    open my $file, '<:raw', $_[0] or die "$_[0]: $!";
    local $/;
    return scalar(<$file>) // '';
}

sub promise {
    my ($what, @found) = @_;

    ok(!@found, $what);
    diag(join "\n", @found[0 .. ($#found < 40 ? $#found : 40)]) if @found;

    return;
}

# A .c file deals in the types of its header; a header may speak for several
# files of its folder.

sub check_c {
    my ($path) = @_;

    my $header = $path =~ s/\.c$/.h/r;
    my $folder = dirname($path);
    my @nouns = $path =~ /\.h$/
              ? map { basename($_) =~ s/(?:_module)?\.c$//r }
                    glob "$folder/*.c"
              : -f $header ? Mesh::Style::nouns($header, slurp($header)) : ();

    return Mesh::Style::check_c($path, slurp($path), @nouns);
}

promise('C sources keep the house style', map { check_c($_) } sort @c);

promise('scripts, tests and configurations keep it',
        map { Mesh::Style::check_script($_, slurp($_)) } sort @scripts);

my %names;
push @{ $names{ basename($_) } }, $_ for @c;

promise('no file name is used twice, nginx keeps only the last folder',
        map { "@$_" } grep { @$_ > 1 } values %names);

promise('the top level holds nothing else',
        grep { !/^(?:config|modules|shared|conf|t|docker|README\.md|LICENSE
                   |run)$/x } glob '*');


# Planted faults: a sound file, and a change for each rule.

my $sound = <<'END';
/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/* A file that breaks no rule. */


#include "probe.h"


typedef struct {
    int   n;                      /* how many */
    char *name;
} probe_t;


static int count_bytes(const char *s);


int
probe_verify(const char *s, int limit)
{
    int    n;
    char  *first;

    n = count_bytes(s);

    if (n > limit
        && limit != 0)
    {
        goto failed;
    }

    if (n == 0) {
        first = "// not a comment";

    } else {
        first = "x";
    }

    for (n = 0; n < 3; n++) {
        first++;
    }

    do {
        n--;
    } while (n > 0);

failed:

    return (first == s) ? 0 : -1;
}


static int
count_bytes(const char *s)
{
    return s[0] + s[1];
}
END

my @faults = (
    [ 'licence',        qr/licence/,      'AGPL-3.0-only', 'MIT' ],
    [ 'columns',        qr/columns/,      'not a comment', 'long' x 20 ],
    [ 'tab',            qr/a tab/,        '    n = count', "\tn = count" ],
    [ 'blank at end',   qr/at the end/,   'goto failed;', 'goto failed; ' ],
    [ '// comment',     qr{// comment},   'first++;', 'first++; // up' ],
    [ 'two blanks',     qr/two blank/,    "}\n\n\nstatic", "}\n\nstatic" ],
    [ 'three blanks',   qr/three blank/,  "}\n\n\nstatic", "}\n\n\n\nstatic" ],
    [ 'return type',    qr/return type/,  "int\nprobe", 'int probe' ],
    [ 'brace',          qr/own line/,     "*s)\n{", '*s) {' ],
    [ 'if(',            qr/keyword/,      'if (n == 0)', 'if(n == 0)' ],
    [ '){',             qr/before \{/,    'n++) {', 'n++){' ],
    [ 'no brace',       qr/condition/,    "n++) {\n        first++;\n    }",
                                          "n++)\n        first++;" ],
    [ 'no brace on else if', qr/condition/, "} else {",
                                          "} else if (n)" ],
    [ 'operator',       qr/operator/,     "limit\n        &&",
                                          "limit &&\n       " ],
    [ 'assert',         qr/assert/,       'first++;', 'assert(first);' ],
    [ 'else',           qr/before \} else/, "comment\";\n\n", "comment\";\n" ],
    [ 'else alone',     qr/of the brace/, '} else {', "}\n    else {" ],
    [ 'length',         qr/has 1\d\d lines/, "    do {\n",
                                          "    n++;\n" x 80 . "    do {\n" ],
    [ 'file',           qr/900 lines/,    "    do {\n",
                                          "    n++;\n" x 900 . "    do {\n" ],
    [ 'parameters',     qr/more than 5/,  'int limit)',
                                          'int a, int b, int c, int d, '
                                          . 'int e)' ],
    [ 'stem',           qr/of its file/,  "int\nprobe_verify",
                                          "int\nverify_probe" ],
    [ 'banned call',    qr/banned/,       'first++;', 'strcpy(first, s);' ],
    [ 'heap',           qr/heap/,         'first++;', 'first = malloc(9);' ],
    [ 'verb',           qr/verb of an act/, "int\nprobe_verify",
                                          "int\nprobe_handle_verify" ],
    [ 'word',           qr/glossary/,     'char  *first', 'char  *user_name' ],
    [ 'goto',           qr/backwards/,    "failed:\n", "failed:\n\n    goto "
                                          . "failed;\n" ],
);

my $folder = 'modules/status/probe.c';

is_deeply([ Mesh::Style::check_c($folder, $sound) ], [],
          'a sound file passes');

for my $fault (@faults) {
    my ($name, $pattern, $from, $to) = @$fault;
    my $broken = $sound;
    my $at = index $broken, $from;

    die "$name: nothing to break" if $at < 0;
    substr($broken, $at, length $from) = $to;

    ok((grep { $_ =~ $pattern } Mesh::Style::check_c($folder, $broken)),
       "finds a planted fault: $name");
}

my $header = $sound =~ s/#include.*\z/int probe_count(const char *s);\n/sr;

ok((grep { /no comment/ } Mesh::Style::check_c('shared/probe.h', $header)),
   'finds an exported function without a comment');

my $script = "# Copyright (C) The Mesh contributors\n"
             . "# SPDX-License-Identifier: AGPL-3.0-only\n\n"
             . "# Waits.\n";

is_deeply([ Mesh::Style::check_script('t/x.t', $script) ], [],
          'a sound test passes');
ok((grep { /a sleep/ } Mesh::Style::check_script('t/x.t', "$script\nsl"
                                                          . "eep 1;\n")),
   'finds a test that sleeps');

done_testing;
