#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# A store that breaks while it is asked for proofs: nobody is told that they
# are missing, since that is not known.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use Test::More;

use lib dirname(Cwd::realpath(__FILE__)) . '/lib';

use Mesh::Test;
use Mesh::Test::Mint;

my $mesh = Mesh::Test->new(
    modules => [qw(ucan storage)],
    data    => 1,
    files   => { 'mesh.did' => Mesh::Test::Mint->did('mesh') },
    conf    => 'mesh_storage %%DATA%%/mesh.db;',
    server  => q{
        ucan           on;
        ucan_audience  file:mesh.did;
        ucan_proofs    on;

        location / { empty_gif; }
    })->start;

my $made = Mesh::Test::Mint->mint(<<'END');
delegation d iss=mesh aud=ada cmd=/room
invocation alone iss=ada cmd=/room/read prf=d exp=600
container alone form=C list=alone
container whole form=C list=d,alone
END

is($mesh->get('/', token => $made->{alone})->status, 510,
   'a proof that the store has not is missing');

for my $name (glob $mesh->data . '/mesh.db*') {
    open my $file, '+<', $name or die "$name: $!";
    syswrite $file, 'this is a letter, no database. ' x (1 + (-s $name) / 31);
    close $file;
}

my $reply = $mesh->get('/', token => $made->{alone});

is($reply->status, 503, 'of a broken store it is not known');
ok($reply->header('Retry-After'), '... and may be asked again');
is($mesh->get('/', token => $made->{whole})->status, 200,
   'a token that brings its proofs needs no store');

done_testing;
