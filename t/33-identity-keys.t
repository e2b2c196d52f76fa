#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# Participants who keep their own key: of every type that did:key knows, as
# long as their DID can be found again.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use Test::More;

use lib dirname(Cwd::realpath(__FILE__)) . '/lib';

use Mesh::Test;

my $node = Mesh::Test->full;
my $did  = $node->data . '/mesh.did';

$node->owner;

sub mesh {
    my ($rc, $out, $err) = $node->mesh(@_);

    die "mesh @_: $err" if $rc != 0;
    chomp $out;

    return $out;
}


sub join_by {
    my ($name, @type) = @_;

    my $key = $node->prefix . "/$name.key";

    mesh('key', 'new', $key, '--type', @type);

    my ($its) = mesh('key', 'show', $key) =~ /(did:key:\w+)/;

    return ($key, $node->post('/api/auth/register', { name => $name,
        did   => $its,
        proof => mesh('token', '--key', $key, '--audience', $did) }));
}

for my $type (qw(p256 secp256k1 p384 p521 rsa)) {
    my ($key, $joined) = join_by("by-$type", $type);

    is($joined->status, 201, "somebody with a key of $type joins");
    is($node->get('/api/auth/me', token => mesh(
           'token', '--key', $key, '--audience', $did,
           '--proof', $joined->json->{delegations}))->json->{name},
       "by-$type", '... and is known again');
}

my (undef, $long) = join_by('by-rsa-4096', 'rsa', '--bits', 4096);

is($long->status, 400, 'an RSA key of 4096 bits is too long');
like($long->json->{detail}, qr/448 bytes/, '... and the answer says so');

done_testing;
