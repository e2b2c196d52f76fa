#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# What was built fits the nginx that is here: each module loads alone and with
# all others, and shows the process nothing but what nginx looks for.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(basename dirname);
use Test::More;

use lib dirname(Cwd::realpath(__FILE__)) . '/lib';

use Mesh::Test;

my @modules = @Mesh::Test::MODULES;

for my $module (@modules) {
    my ($rc, $text) = Mesh::Test->nginx_t(modules => [ $module ], conf => '');

    is($rc, 0, "$module loads into a stock nginx") or diag($text);
}

my $mesh = Mesh::Test->new(modules => \@modules, server => q{
    location / { return 204; }
})->start;

is($mesh->get('/')->status, 204, 'all of them load together and stay quiet');


# nginx loads with RTLD_GLOBAL: a name that two modules show is one name.

my $folder = Mesh::Test->output_folder;

for my $module (@modules) {
    my $path = $mesh->module($module);
    my ($rc, $out) = Mesh::Test::run([ 'nm', '-D', '--defined-only', $path ]);
    my @names = sort grep { !/^__(?:asan|ubsan|odr_asan)/ }
                map { (split)[-1] } split /\n/, $out;

    is_deeply(\@names, [qw(ngx_module_names ngx_module_order ngx_modules)],
              "$module shows three names");

    my (undef, $needs) = Mesh::Test::run([ 'ldd', $path ]);
    my $sqlite = $needs =~ /libsqlite3/ ? 1 : 0;

    is($sqlite, $module eq 'storage' ? 1 : 0,
       $module eq 'storage' ? 'storage brings sqlite'
                            : "$module brings no sqlite");
}

my ($rc, $out, $err) = $mesh->mesh('--help');

is($rc, 0, 'the mesh command runs');
like($out, qr/mesh init/, 'and says how to begin');

done_testing;
