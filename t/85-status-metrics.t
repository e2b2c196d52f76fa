#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# GET /metrics of a whole node: for whoever may see them, in the format of
# Prometheus.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use Test::More;

use lib dirname(Cwd::realpath(__FILE__)) . '/lib';

use Mesh::Test;

my $node  = Mesh::Test->full;
my $owner = $node->owner;
my $ada   = $node->register('ada');

is($node->get('/metrics')->status, 401, 'metrics are not for everybody');
is($node->get('/metrics', token => $ada->token)->status, 403,
   '... nor for every participant');

my $reply = $node->get('/metrics', token => $owner->token);

is($reply->status, 200, 'the owner may see them');
like($reply->header('Content-Type'), qr{^text/plain; version=0\.0\.4},
     '... as Prometheus reads them');
like($reply->body, qr/^mesh_ucan_requests_total\{outcome="absent"\} [1-9]/m,
     'they count who came without a token');
like($reply->body, qr/^mesh_ucan_requests_total\{outcome="not-covered"\} 1$/m,
     '... and who may not');

done_testing;
