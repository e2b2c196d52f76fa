#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# Bodies that make no sense get a 4xx that says what is wrong with which
# member, and change nothing; so do wrong methods, hosts and origins.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::RealBin/lib";

use Mesh::Test::Identity;

my $node = Mesh::Test::Identity->new->start;
my $password = Mesh::Test::Identity::PASSWORD;

my @ways = qw(/api/setup/init /api/auth/register /api/auth/login
              /api/auth/guest /api/agents/bootstrap);


# Bytes that are no JSON object.

my %bodies = (
    'nothing'          => '',
    'noise'            => "\x00\x01\xff",
    'half an object'   => '{"name":"a","password":"12345678"',
    'two objects'      => '{"name":"a"}{"name":"b"}',
    'an array'         => '[{"name":"a","password":"12345678"}]',
    'a string'         => '"name"',
    'a key twice'      => '{"name":"a","name":"b","password":"12345678"}',
    'a key twice, once escaped'
                       => '{"name":"a","n\u0061me":"b","password":"x"}',
    'invalid UTF-8'    => "{\"name\":\"\xc3\x28\",\"password\":\"12345678\"}",
    'U+0000'           => '{"name":"a\u0000b","password":"12345678"}',
    'a lone surrogate' => '{"name":"\ud800","password":"12345678"}',
    'deep nesting'     => '{"name":' . '[' x 5000 . ']' x 5000 . '}',
    'a comment'        => '{"name":"a"/*x*/,"password":"12345678"}',
    'a trailing comma' => '{"name":"a","password":"12345678",}',
);

for my $path (@ways) {
    my @wrong = grep {
        my $reply = $node->post($path, $bodies{$_}, headers =>
                                { 'Content-Type' => 'application/json' });

        $reply->status != 400
            || $reply->header('Content-Type') !~ /problem\+json/
            || !$reply->json->{detail};
    } sort keys %bodies;

    is("@wrong", '', "$path refuses what is no JSON object");
}

is($node->post('/api/auth/register', 'name=a&password=12345678', headers =>
   { 'Content-Type' => 'application/x-www-form-urlencoded' })->status, 415,
   'a form is another media type');
is($node->post('/api/auth/register',
               '{"name":"' . 'a' x 70000 . '"}')->status, 413,
   'a body has a limit');
is($node->raw("POST /api/auth/register HTTP/1.1\r\nHost: localhost\r\n"
              . "Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
              . sprintf("%x\r\n%s\r\n", 70000, 'a' x 70000) . "0\r\n\r\n")
   ->status, 413, 'also one that does not tell its length');


# Members.

my @members = (
    [ '/api/auth/register', {}, 'name' ],
    [ '/api/auth/register', { name => 'a' }, 'password' ],
    [ '/api/auth/register', { name => undef, password => $password },
      'name' ],
    (map { [ '/api/auth/register', { name => $_, password => $password },
             'name' ] }
     7, [], {}, JSON::PP::true, '', ' a', 'a ', "a\nb", "a\x{202e}b",
     'x' x 65, "\x{2028}", 'a' x 300),
    (map { [ '/api/auth/register', { name => 'a', password => $_ },
             'password' ] }
     12345678, [], '', 'short', 'x' x 1025),
    [ '/api/auth/register', { name => 'a', password => $password,
                              invite => 5 }, 'invite' ],
    [ '/api/auth/register', { name => 'a', did => 'did:key:z6Mk' },
      'did' ],
    [ '/api/auth/register', { name => 'a', did => "did:key:\nz6Mk" },
      'did' ],
    [ '/api/auth/register', { name => 'a', did => $node->did }, 'proof' ],
    [ '/api/auth/register', { name => 'a', did => 7 }, 'did' ],
    [ '/api/auth/login', { name => 'a' }, 'password' ],
    [ '/api/auth/login', { name => 'a', password => {} }, 'password' ],
    [ '/api/auth/login', { password => $password }, 'name' ],
    [ '/api/auth/guest', { name => 9 }, 'name' ],
    [ '/api/setup/init', { name => 'a', password => $password,
                           registration => 'maybe' }, 'registration' ],
    [ '/api/setup/init', { name => 'a', password => $password,
                           visibility => 1 }, 'visibility' ],
    [ '/api/setup/init', { name => 'a', password => $password,
                           meshName => [] }, 'meshName' ],
);

for my $line (@members) {
    my ($path, $body, $member) = @$line;
    my $reply = $node->post($path, $body);
    my $text = JSON::PP->new->canonical->ascii->encode($body);

    $text = substr($text, 0, 60) . '...' if length $text > 63;

    is($reply->status, 400, "$path $text");
    like($reply->json->{detail}, qr/"$member"/, "is wrong in \"$member\"");
}

ok(!$node->get('/api/setup/status')->json->{initialized},
   'none of all that made an owner');

my $owner = $node->owner;

for my $line ([ { role => 5 }, 'role' ], [ { uses => 0 }, 'uses' ],
              [ { uses => 1.5 }, 'uses' ], [ { uses => '1' }, 'uses' ],
              [ { uses => 1001 }, 'uses' ], [ { expiresIn => -1 },
              'expiresIn' ], [ { expiresIn => 1e9 }, 'expiresIn' ],
              [ { delegations => 'Cxx' }, 'delegations' ])
{
    my ($body, $member) = @$line;
    my $reply = $owner->post('/api/invites', $body);

    is($reply->status, 400, 'an invite with ' . JSON::PP->new->encode($body));
    like($reply->json->{detail}, qr/"$member"/, "is wrong in \"$member\"");
}

is($node->post('/api/auth/register', { name => "Zo\x{eb} \x{1f600}",
       password => $password, favourite => [ 'unknown', {} ] })->status, 201,
   'letters of the world are welcome, and unknown members not looked at');


# Methods, paths, hosts, origins.

my $wrong = $node->get('/api/auth/register');

is($wrong->status, 405, 'a method that a path does not take');
like($wrong->header('Allow'), qr/POST/, 'the answer names those it does');
is($node->get('/api/auth/nothing')->status, 404, 'a path that is not there');
is($node->get('/api/participants/')->status, 404, 'an empty id');

my %body = (json => { name => 'late', password => $password });

is($node->request(POST => '/api/auth/register', %body,
                  headers => { Origin => 'http://evil.example' })
   ->json->{error}, 'wrong-origin', 'a page elsewhere does not write here');
is($node->request(POST => '/api/auth/register', %body,
                  headers => { Host => 'evil.example' })->status, 421,
   'nor does one that took another name for this node');
is($node->request(POST => '/api/auth/register', %body, headers => {
       Origin => 'http://127.0.0.1:' . $node->port })->status, 201,
   'a page of this node does');
is($node->request(GET => '/api/setup/status',
                  headers => { Origin => 'http://evil.example' })->status,
   200, 'reading is not asked about');

$node->stop;

done_testing;
