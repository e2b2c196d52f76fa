#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# A bot with the npm package ws that knows the address of /skill.md and nothing
# else joins and answers, through cut connections, dead workers, a reload and
# the end of its token: each question once, and it hears each message once.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use Test::More;

use lib dirname(Cwd::realpath(__FILE__)) . '/lib';

use Mesh::Test;
use Mesh::Test::Program;
use Mesh::Test::Relay;

my $modules = "$Mesh::Test::TOP/.node/node_modules";

plan skip_all => 'no npm package "ws": t/run installs it'
    unless -d "$modules/ws";

my $node = Mesh::Test->full(
    workers => 2, directives => { mesh_identity_session_time => '4s' });
my $owner = $node->owner;
my $room = $owner->create_room('hall');
my $port = $node->port(2);
my $relay = Mesh::Test::Relay->new(port => $port, to => $node->port);

my @asked;


# The owner's tokens end too.

sub owner_asks {
    my ($method, @what) = @_;
    my $reply = $owner->$method(@what);

    return $reply if $reply->status != 401;

    $owner = $node->login('owner');

    return $owner->$method(@what);
}

sub say {
    my ($text) = @_;

    my $status = owner_asks('post', "/api/rooms/$room/messages",
                            { content => $text })->status;
    die "not said: $status\n" if $status != 201;

    push @asked, $text;

    return;
}

sub history {
    my $since = 0;
    my @all;

    while (1) {
        my $path = "/api/rooms/$room/messages?limit=100&since=$since";

        # a worker that dies takes the answer along

        my $page = $node->wait_for(sub {
            my $json = owner_asks('get', $path)->json;
            return $json && $json->{messages};
        }, 20, 'a page of history');
        return @all unless @$page;
        push @all, @$page;
        $since = $page->[-1]{seq};
    }
}

sub answered {
    my ($question) = @_;
    my $answer = $question =~ s/\?/!/r;
    return scalar grep { $_->{content} eq $answer } history();
}

say('before it came?');
@asked = ();

my $bot = Mesh::Test::Program->new(
    command => [ '/usr/bin/env', 'node', "$Mesh::Test::TOP/t/bots/stranger.js",
                 "http://127.0.0.1:$port/skill.md", 'stranger' ],
    folder  => $node->prefix,
    env     => { NODE_PATH => $modules });

sub bot_says {
    my ($pattern, $what) = @_;
    my $from = length $bot->output;

    return sub {
        $node->wait_for(sub {
            die $bot->output unless $bot->is_running;
            substr($bot->output, $from) =~ $pattern;
        }, 30, $what);
    };
}

bot_says(qr/"joined":"$room"/, 'a bot')->();


# What it is for.

say('does it answer?');

ok($node->wait_for(sub { answered('does it answer?') }, 20, 'an answer'),
   'a bot that read /skill.md answers');


# The connection breaks, and comes back later.

my $back = bot_says(qr/"joined":"$room"/, 'the bot after a cut');

$relay->cut;
say("while it was away, $_?") for 1 .. 20;
$relay->mend;
$back->();

ok($node->wait_for(sub { answered('while it was away, 20?') }, 20, 'answers'),
   'after a cut it comes back and answers what was asked meanwhile');


# Connections break while everybody talks; workers die; the node reloads.

for my $trouble (sub { $relay->cut; $relay->mend },
                 sub { $node->kill_worker },
                 sub { $relay->cut; $relay->mend },
                 sub { $node->reload })
{
    my $n = @asked;

    for my $i (1 .. 10) {
        say("in trouble, $n.$i?");
        $trouble->() if $i == 5;
    }
}

# A token lasts 4 seconds here.

bot_says(qr/"renewed":true/, 'a renewed token')->();
say('with another token?');

ok($node->wait_for(sub { answered('with another token?') }, 20, 'an answer'),
   'when its token ends it gets another and goes on');

my @all;

$node->wait_for(sub { @all = history(); @all == 1 + 2 * @asked }, 20,
                'all answers');

my %answers;

$answers{ $_->{content} }++ for grep { $_->{senderName} eq 'stranger' } @all;

is_deeply([ grep { ($answers{ s/\?/!/r } // 0) != 1 } @asked ], [],
          'each question was answered once');
is(keys %answers, @asked, 'and nothing else was said');

my @heard = $bot->output =~ /"heard":(\d+)/g;

is_deeply(\@heard, [ 2 .. @all ],
          'it heard each message once, in order, from when it came');

# a token may end between two words: the bot hears so, renews, says it again

unlike($bot->output, qr/"type":"error","error":"(?!unauthenticated)/,
       'and was never told that it erred');

done_testing;
