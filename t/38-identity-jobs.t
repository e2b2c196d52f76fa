#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# Work in thread pools: clients that leave in the middle of it do no harm, and
# a worker that is to go finishes it, and answers, before it goes.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use Test::More;

use lib dirname(Cwd::realpath(__FILE__)) . '/lib';

use Mesh::Test::Identity;

my $node = Mesh::Test::Identity->new(
    directives => { mesh_identity_hash_queue => 256 })->start;

$node->owner;

my ($worker) = $node->workers;

sub begin {
    my ($name) = @_;

    return $node->begin(POST => '/api/auth/register',
                        json => { name => $name,
                                  password => 'correct horse' });
}

sub is_known {
    my ($name) = @_;

    return $node->post('/api/auth/register',
                       { name => $name, password => 'correct horse' })
           ->status == 409;
}


# Clients that leave: at once, and while their password is hashed.

$_->abort for map { begin("early$_") } 1 .. 20;

my @late = map { begin("late$_") } 1 .. 20;

$node->get('/api/setup/status');
$_->abort for @late;

ok($node->wait_for(sub { is_known('late20') }, 60),
   'what a client began that left is done all the same');
is(($node->workers)[0], $worker, '... by the same worker');


# A worker that is to go.

my @waiting = map { begin("reload$_") } 1 .. 3;

$node->get('/api/setup/status');
$node->reload;

is_deeply([ map { $_->reply->status } @waiting ], [ (201) x 3 ],
          'a worker of before a reload finishes its work and answers');
ok($node->wait_for(sub { !$node->leaving_workers }, 30), '... and goes');

@waiting = map { begin("quit$_") } 1 .. 3;

$node->get('/api/setup/status');
$node->quit;

is_deeply([ map { $_->reply->status } @waiting ], [ (201) x 3 ],
          'so does one that quits');

done_testing;
